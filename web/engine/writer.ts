// The text of symbols that are written one after the other.
import { SPACE } from './splitting'
import type { Vocabulary } from './vocabulary'

/** The characters of one text, symbol by symbol, until the stop text is complete; words with a space between. */
export class Writer {
  ended = false
  readonly #inWords: boolean
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #needsSpace: boolean
  #written = ''

  constructor(
    readonly vocabulary: Pick<Vocabulary, 'unit' | 'symbols' | 'end'>,
    readonly stop: string | null,
    prime: string,
  ) {
    this.#inWords = vocabulary.unit === 'word' || vocabulary.unit === 'token'
    this.#needsSpace = this.#inWords && prime !== '' && !new RegExp(`[${SPACE}]$`, 'u').test(prime)
  }

  /** Return the characters that a symbol completes. */
  write(symbol: number): string {
    const { unit, symbols, end } = this.vocabulary
    let piece =
      unit === 'byte' ? this.#decoder.decode(Uint8Array.of(symbol), { stream: true }) : (symbols[symbol] ?? '')
    if (this.#inWords) {
      const isEnd = piece === end
      if (this.#needsSpace && !isEnd) piece = ` ${piece}`
      this.#needsSpace = !isEnd
    }
    if (this.stop !== null) {
      // The last bytes of a piece may complete several characters at once.
      this.#written = (this.#written + piece).slice(-(this.stop.length + piece.length))
      this.ended = this.#written.includes(this.stop)
    }
    return piece
  }

  /** Return U+FFFD for the bytes of a character that was never completed; nothing after the stop text. */
  rest(): string {
    return this.ended ? '' : this.#decoder.decode()
  }
}
