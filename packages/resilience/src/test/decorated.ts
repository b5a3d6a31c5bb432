/**
 * The syntax of `@guarded`, for the type checker alone: neither Node nor the tests' bundler runs standard decorators yet, and stripping
 * types leaves them in. What runs is in guarded.test.ts.
 */
import { fallback } from '../fallback.ts'
import { guarded } from '../guarded.ts'
import { policy } from '../policy.ts'

const plain = policy('price')
const lenient = policy('price', fallback(null))

export class Shop {
  readonly unitPrice: number = 3

  @guarded(plain)
  async price(sku: string, quantity: number): Promise<number> {
    return sku.length * quantity * this.unitPrice
  }

  @guarded(lenient)
  async perhaps(sku: string): Promise<number | null> {
    return sku.length
  }

  // @ts-expect-error the policy may answer null, the method promises a number
  @guarded(lenient)
  async surely(sku: string): Promise<number> {
    return sku.length
  }

  // @ts-expect-error only methods can be guarded
  @guarded(plain)
  readonly currency: string = 'EUR'
}
