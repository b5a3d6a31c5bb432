/** An element of a {@link LinkedList}. */
export interface ListNode<T> {
  readonly value: T
  before: ListNode<T> | undefined
  after: ListNode<T> | undefined
  /** Whether it is still in its list. */
  linked: boolean
}

/** A doubly linked list: adding at the end and removing anywhere take the same time however long it is. */
export interface LinkedList<T> {
  readonly size: number
  readonly first: ListNode<T> | undefined
  readonly last: ListNode<T> | undefined
  append(value: T): ListNode<T>
  /** False when it was removed before. */
  remove(node: ListNode<T>): boolean
}

/** Creates an empty {@link LinkedList}. */
export function linkedList<T>(): LinkedList<T> {
  let first: ListNode<T> | undefined
  let last: ListNode<T> | undefined
  let size = 0
  return {
    get size() {
      return size
    },
    get first() {
      return first
    },
    get last() {
      return last
    },
    append(value) {
      const node: ListNode<T> = { value, before: last, after: undefined, linked: true }
      if (last) last.after = node
      else first = node
      last = node
      size += 1
      return node
    },
    remove(node) {
      if (!node.linked) return false
      node.linked = false
      if (node.before) node.before.after = node.after
      else first = node.after
      if (node.after) node.after.before = node.before
      else last = node.before
      size -= 1
      return true
    },
  }
}
