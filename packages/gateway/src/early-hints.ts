import { type HeaderList, headerValues } from './headers.ts'
import { isValue } from './http-grammar.ts'

/**
 * The links of early hints, as `writeEarlyHints` takes them. They are advice: when it would not take one, none goes on.
 *
 * @see RFC 8288, section 3; RFC 8297
 */
export function linksOf(hints: HeaderList): readonly string[] {
  const links = headerValues(hints, 'link').flatMap((value) => value.split(/,\s*(?=<)/))
  return links.every((link) => LINK.test(link) && isValue(link)) ? links : []
}

/**
 * Part of what `writeEarlyHints` takes, else it throws. Its own pattern has a parameter with `=` in more than one way, and tries
 * them all for a link that is not one; here no name has any, and for what this lets through the first way is the right one.
 */
const LINK = /^<[^>]*>(?:\s*;\s*[^;="\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/
