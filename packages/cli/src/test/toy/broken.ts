export default function main(): never {
  throw new Error('the toy is broken')
}
