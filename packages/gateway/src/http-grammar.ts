/** The target of a request: no blank, nothing below one. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/

/** For what is as long as a token or a cookie can be, twice as fast as a loop. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Whether a character, by its code, may be part of a token: for what is as short as a name, a loop over this is the faster one. */
const IN_TOKEN = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  IN_TOKEN[character.charCodeAt(0)] = 1

/** The name of a field, a method. @see RFC 9110, section 5.6.2 */
export function isToken(text: string): boolean {
  return text !== '' && endOfToken(text, 0) === text.length
}

/** Where the token that begins at `from` ends; `from` when there is none. */
export function endOfToken(text: string, from: number): number {
  let at = from
  while (at < text.length && IN_TOKEN[text.charCodeAt(at)] === 1) at += 1
  return at
}

/** The target of a request. */
export function isTarget(text: string): boolean {
  return TARGET.test(text)
}

/** The value of a field. No CR and no LF: nothing that a header holds begins another one. @see RFC 9110, section 5.5 */
export function isValue(text: string): boolean {
  return VALUE.test(text)
}
