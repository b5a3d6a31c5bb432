/** `orderId` as a field of a .proto: `order_id`. What cannot stand in a name becomes `_`. */
export function snakeName(name: string): string {
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9_]/g, '_')
    .toLowerCase()
  return /^[a-z]/.test(snake) ? snake : `f_${snake.replace(/^_+/, '')}`
}

/** `list-products` or `listProducts` as a message, a method or a service of a .proto: `ListProducts`. */
export function pascalName(name: string): string {
  const pascal = name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
  return /^[A-Z]/.test(pascal) ? pascal : `X${pascal}`
}

/** The name that protobuf's JSON mapping makes of a field's name by itself. */
export function jsonNameOf(field: string): string {
  return field.replace(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase()).replace(/_+$/, '')
}
