/** @see RFC 9110, section 5.6.2 */
export const TOKEN: RegExp = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The target of a request: no blank, nothing below one. */
export const TARGET: RegExp = /^[\x21-\x7e\x80-\xff]+$/

/** The value of a field. No CR and no LF: nothing that a header holds begins another one. */
export const VALUE: RegExp = /^[\t\x20-\x7e\x80-\xff]*$/
