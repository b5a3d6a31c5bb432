/** Variables that a file may refer to. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A text with its variables filled in, or what is wrong with it. */
export type Substituted = { readonly text: string; readonly changed: boolean } | { readonly wrong: string }

/**
 * Fills in `${NAME}` and `${NAME:-value if unset or empty}`; `$${` stands for a plain `${`.
 */
export function substitute(text: string, env: Environment): Substituted {
  let wrong: string | undefined
  const filled = text.replace(/\$(\$?)\{([^}]*)(\}?)/g, (whole, doubled: string, inner: string, end: string) => {
    if (doubled) return whole.slice(1)
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? []
    if (!end || name === undefined) {
      wrong ??= `cannot read "${whole}"; wanted \${NAME} or \${NAME:-default}`
      return ''
    }
    const value = env[name]
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value === undefined) wrong ??= `the environment variable "${name}" is not set; set it, or give a default as in \${${name}:-default}`
    return value ?? ''
  })
  return wrong === undefined ? { text: filled, changed: filled !== text } : { wrong }
}
