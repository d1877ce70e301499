// A script that computes something which few views need: it is loaded when one of them is shown.
import { later, type Load } from './later'

export class LateScript<T> {
  /** What the script exports; null until it is there. */
  exports = $state.raw<T | null>(null)
  readonly #load: Load<T>

  /** @param load imports the script */
  constructor(load: Load<T>) {
    this.#load = later(load)
  }

  /** Load the script. If that fails, the next call tries again. */
  async load(): Promise<void> {
    this.exports ??= await this.#load().catch(() => null)
  }
}
