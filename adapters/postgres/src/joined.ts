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
  return isEscaped(joined) ? texts.map((text) => text.replaceAll(ESCAPED, MARK)) : texts
}

/** The numbers of {@link joinNumbers}; it joins no number at all to null. */
export function numbersOf(joined: string | null): number[] {
  return joined === null ? [] : joined.split(',').map(Number)
}

/** Texts as one, of which none is empty, for {@link splitTexts}. */
export function joinedTexts(texts: readonly string[]): string {
  return texts.map((text) => (text.includes(MARK) ? text.replaceAll(MARK, ESCAPED) : text)).join(END)
}

/** Whether any of them had to be escaped. */
export function isEscaped(joined: string): boolean {
  return joined.includes(ESCAPED)
}

/** The table function that splits what {@link joinedTexts} has joined, a row each. */
export function splitTexts(joined: string): string {
  return `unnest(string_to_array(${joined}, ${SQL_END}))`
}

/** A row of {@link splitTexts} as it was, given what {@link isEscaped} says. */
export function plainText(column: string, escaped: string): string {
  return `case when ${escaped} then replace(${column}, ${SQL_ESCAPED}, ${SQL_MARK}) else ${column} end`
}
