// Many values of a column as one text, and apart again, in both directions. The driver's work for a row is several times that for a piece
// of a text; and the server reads and writes such a text in a part of the time that JSON or an array takes, where each quotation mark of
// each body has to be escaped.

/** ASCII has it for this, "record separator"; a text may yet contain it. */
const MARK = '\x1e'
const [END, ESCAPED] = [`${MARK}1`, `${MARK}0`]
const [SQL_MARK, SQL_END, SQL_ESCAPED] = ["E'\\x1e'", "E'\\x1e1'", "E'\\x1e0'"]

/** The aggregate that joins the texts of a column, whatever they contain. */
export function joinTexts(column: string): string {
  return `string_agg(replace(${column}, ${SQL_MARK}, ${SQL_ESCAPED}), ${SQL_END})`
}

/** The aggregate that joins the numbers of a column. */
export function joinNumbers(column: string): string {
  return `string_agg(${column}::text, ',')`
}

/** The texts of {@link joinTexts}; it joins no text at all to null. */
export function textsOf(joined: string | null): string[] {
  if (joined === null) return []
  const texts = joined.split(END)
  return joined.includes(ESCAPED) ? texts.map((text) => text.replaceAll(ESCAPED, MARK)) : texts
}

/** The numbers of {@link joinNumbers}; it joins no number at all to null. */
export function numbersOf(joined: string | null): number[] {
  return joined === null ? [] : joined.split(',').map(Number)
}

/** Texts of JSON as one, for {@link splitJson}: it has no such mark in it, since within its texts one is escaped (RFC 8259, 7). */
export function joinedJson(texts: readonly string[]): string {
  return texts.join(MARK)
}

/** The table function that splits what {@link joinedJson} has joined, a row each. */
export function splitJson(joined: string): string {
  return `unnest(string_to_array(${joined}, ${SQL_MARK}))`
}
