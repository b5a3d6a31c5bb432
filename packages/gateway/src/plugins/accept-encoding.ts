/**
 * Which of our encodings a client wants most, by its `Accept-Encoding`; `undefined`: none of them. Of those it wants alike, ours come in
 * the order given.
 *
 * @see RFC 9110, section 12.5.3
 */
export function chooseEncoding<const Name extends string>(accepted: string | undefined, ours: readonly Name[]): Name | undefined {
  // Longer than any real one: what is in it is not worth the reading.
  if (accepted === undefined || accepted.length > 1_024) return undefined
  const weights = new Map<string, number>()
  for (const part of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((word) => word.trim())
    const said = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = said === undefined ? 1 : /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(said) ? Number(said.slice(2)) : 0
    if (name !== '' && !weights.has(name)) weights.set(name, weight)
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0
  // What is not named is wanted as it is; an encoding must be wanted more than none, or as much.
  const plain = weights.get('identity') ?? 0
  const best = Math.max(0, ...ours.map(weightOf))
  return best > 0 && best >= plain ? ours.find((name) => weightOf(name) === best) : undefined
}
