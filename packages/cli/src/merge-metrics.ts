/**
 * Metrics of several processes as one Prometheus text: each sample with a label for its process, what is said about a metric once.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function mergeMetrics(texts: ReadonlyMap<string, string>): string {
  const families = new Map<string, { readonly about: string[]; readonly samples: string[] }>()
  for (const [process, text] of texts) {
    let family = familyOf(families, '')
    for (const line of text.split('\n')) {
      const about = /^# (?:HELP|TYPE) (\S+)/.exec(line)
      if (about) {
        family = familyOf(families, about[1] ?? '')
        if (!family.about.includes(line)) family.about.push(line)
      } else if (line !== '' && !line.startsWith('#')) family.samples.push(labelled(line, process))
    }
  }
  const lines = [...families.values()].flatMap(({ about, samples }) => (samples.length === 0 ? [] : [...about, ...samples]))
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function familyOf<T extends { about: string[]; samples: string[] }>(
  families: Map<string, T | { about: string[]; samples: string[] }>,
  name: string,
) {
  const found = families.get(name) ?? { about: [], samples: [] }
  families.set(name, found)
  return found
}

/** `a{b="c"} 1` with another label, or `a 1` with its first one. */
function labelled(line: string, process: string): string {
  const label = `process="${process}"`
  const match = /^([^\s{]+)(\{(.*)\})?( .*)$/.exec(line)
  if (!match) return line
  const [, name = '', , labels = '', rest = ''] = match
  return `${name}{${labels === '' ? label : `${label},${labels}`}}${rest}`
}
