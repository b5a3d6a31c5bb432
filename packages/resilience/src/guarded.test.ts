import { manualWorld } from '@banyan/core'
import { expect, expectTypeOf, test } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'
import { fallback } from './fallback.ts'
import { guard, guarded } from './guarded.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'

/** What a runtime hands to a method decorator, for those that cannot run the syntax yet. */
function decorate(decorator: Standard, kind = 'method') {
  // The parts of the context that a decorator of ours reads.
  const context = { kind, name: 'price', static: false, private: false } as unknown
  return decorator(Shop.prototype.price, context as ClassMethodDecoratorContext<Shop, Price>)
}

type Price = (this: Shop, sku: string, quantity: number) => Promise<number>
type Standard = (method: Price, context: ClassMethodDecoratorContext<Shop, Price>) => Price

class Shop {
  readonly unitPrice = 3
  async price(sku: string, quantity: number): Promise<number> {
    if (quantity === 0) throw new RangeError('nothing wanted')
    return sku.length * quantity * this.unitPrice
  }
}

test('a decorated method keeps its parameters, its result and its object', async () => {
  const price = decorate(guarded(policy('price')))
  expect(await price.call(new Shop(), 'abc', 2)).toBe(18)
})

test('all objects of the class share the policy', async () => {
  const breaker = circuitBreaker({ failures: 2, world: manualWorld() })
  const price = decorate(guarded(policy('price', breaker)))
  for (const shop of [new Shop(), new Shop()]) await expect(price.call(shop, 'abc', 0)).rejects.toThrow('nothing wanted')
  await expect(price.call(new Shop(), 'abc', 1)).rejects.toThrow('its circuit is open')
})

test('anything but a method is refused', () => {
  expect(() => decorate(guarded(policy('price')), 'getter')).toThrow(new TypeError('cannot guard "price": it is a getter, wanted a method'))
})

test('a guarded function is given the call before its own arguments, and its this', async () => {
  const world = manualWorld()
  const load = guard(policy('load', fallback(null), retry({ world })), async function (this: { base: string }, { attempt }, sku: string) {
    if (sku === '') throw new Error('no sku')
    return `${this.base}/${sku} ${attempt}`
  })
  expectTypeOf(load).toEqualTypeOf<(this: { base: string }, sku: string) => Promise<string | null>>()
  expect(await load.call({ base: '/items' }, 'abc')).toBe('/items/abc 1')
  const failed = load.call({ base: '/items' }, '')
  await world.advance(60_000)
  expect(await failed).toBe(null)
})
