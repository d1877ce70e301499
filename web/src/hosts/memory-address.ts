// The history of views in memory, for a document without an address of its own: `about:srcdoc`, or a blob.
import type { AddressBar } from '../state/address-bar'

/** Whether the browser refuses to write addresses of this document. */
export const lacksAddress = ({ protocol }: Pick<Location, 'protocol'> = location): boolean =>
  protocol === 'about:' || protocol === 'blob:'

export class MemoryAddress implements AddressBar {
  #entries: { address: string; state: unknown }[] = [{ address: '', state: null }]
  #place = 0
  readonly #listeners = new Set<() => void>()

  get search(): string {
    return this.#address.split('#')[0]!
  }
  get hash(): string {
    const start = this.#address.indexOf('#')
    return start < 0 ? '' : this.#address.slice(start)
  }
  get state(): unknown {
    return this.#entries[this.#place]!.state
  }
  get #address(): string {
    return this.#entries[this.#place]!.address
  }

  write(how: 'push' | 'replace', state: unknown, address: string): void {
    if (how === 'push') this.#place++
    this.#entries.splice(this.#place, how === 'push' ? Infinity : 1, { address, state })
  }

  travel(steps: number): void {
    const place = this.#place + steps
    if (!this.#entries[place]) return
    this.#place = place
    // A browser travels later as well.
    queueMicrotask(() => this.#listeners.forEach((listener) => listener()))
  }

  follow(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  link(): string {
    return ''
  }
}
