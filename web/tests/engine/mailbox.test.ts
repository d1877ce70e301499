import { expect, it } from 'vitest'
import { Mailbox } from '../../engine/mailbox'

const box = (): [Mailbox, Mailbox] => {
  const memory = new SharedArrayBuffer(8 + 16)
  return [new Mailbox(memory), new Mailbox(memory)]
}
const bytes = (...values: number[]): ArrayBuffer => new Uint8Array(values).buffer

it('hands an answer over once', () => {
  const [worker, page] = box()
  expect(page.take()).toBeNull()
  worker.put(7, bytes(1, 2, 3))
  expect(page.take()).toEqual({ call: 7, answer: bytes(1, 2, 3) })
  expect(page.take()).toBeNull()
})

it('keeps the answer that nobody has taken, and takes no answer that is too large', () => {
  const [worker, page] = box()
  worker.put(1, new ArrayBuffer(17))
  expect(page.take()).toBeNull()
  worker.put(2, bytes(2))
  worker.put(3, bytes(3))
  expect(page.take()).toEqual({ call: 2, answer: bytes(2) })
})

it('is free again when its answer came by message', () => {
  const [worker, page] = box()
  worker.put(4, bytes(4))
  page.discard(5)
  page.discard(4)
  worker.put(6, new ArrayBuffer(16))
  expect(page.take()).toEqual({ call: 6, answer: new ArrayBuffer(16) })
})

it('is made only where memory may be shared', () => {
  expect(Mailbox.create()).toBeNull()
})
