// Completions have exact probabilities, and exchanged words the predictions of the changed text.
import { describe, expect, it } from 'vitest'
import { type Completion, complete } from '../../engine/completion'
import { Network } from '../../engine/network'
import { finished, Recorder } from '../../engine/recording'
import { swaps } from '../../engine/swaps'
import { DRAWS, drawnArray } from './draws'
import { madeNetwork } from './made'

const opened = (name: string): Network => {
  const { network } = DRAWS.texts.find((one) => one.name === name)!
  const bytes = (drawnArray(`texts/${name}`).data as Uint8Array<ArrayBuffer>).slice().buffer
  return Network.open(network, bytes, { precision: 'float64' })
}
const list = (network: Network, text: string, what: 'word' | 'line', steps: number | null = null): Completion[] =>
  finished(complete(network, new Recorder(network), { text, what, holds: [], steps }))

/** Return the log-probability of a text after another one. */
function logProbability(network: Network, text: string, more: string): number {
  const { sequences } = new Recorder(network).record(text + more)
  const all = sequences.flatMap(({ logProbabilities, steps }) => [...logProbabilities.subarray(0, steps)])
  const symbols = network.configuration.vocabulary.labels(more).length
  return all.slice(all.length - 1 - symbols, all.length - 1).reduce((a, b) => a + b, 0)
}

describe('completions', () => {
  it.each(['lstm of characters', 'gru of characters', 'peephole of characters', 'slstm of characters'])(
    'of %s have the probability of their symbols, the most probable first',
    (name) => {
      const network = opened(name)
      const found = list(network, 'ab', 'line')
      expect(found.length).toBeGreaterThan(3)
      for (const { text, probability } of found)
        expect(Math.log(probability)).toBeCloseTo(logProbability(network, 'ab', text), 5)
      const sorted = found.map(({ probability }) => probability).sort((a, b) => b - a)
      expect(found.map(({ probability }) => probability)).toEqual(sorted)
      expect(found.filter(({ ends }) => ends).every(({ text }) => text.endsWith('\n'))).toBe(true)
    },
  )

  it('of words are words of the vocabulary with their predictions', () => {
    const network = opened('lstm of words')
    const found = list(network, 'good', 'word')
    for (const { text, probability } of found) {
      expect(text).toMatch(/^( \S+|\n)$/)
      expect(Math.log(probability)).toBeCloseTo(logProbability(network, 'good', text), 5)
    }
    expect(found.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6)
  })

  it('of a part of a text are those of the part alone', () => {
    const network = opened('lstm of characters')
    expect(list(network, 'abcd', 'line', 2)).toEqual(list(network, 'ab', 'line'))
  })

  it('of a word are summed over everything that ends it', () => {
    const network = madeNetwork('lstm', 3)
    const found = list(network, 'ab', 'word')
    for (const { text, ends, probability } of found.filter((one) => one.ends && !one.text.includes('\n'))) {
      expect(ends).toBe(true)
      const whole = Math.exp(logProbability(network, 'ab', text))
      const ended = Math.exp(logProbability(network, 'ab', `${text}\n`))
      expect(probability).toBeLessThanOrEqual(whole + 1e-6)
      expect(probability).toBeGreaterThanOrEqual(ended - 1e-6)
    }
    expect(() => list(network, 'ab', 'page' as never)).toThrow('REQUEST_INVALID')
  })
})

it('words are not exchanged where no class is predicted', () => {
  const network = madeNetwork('lstm', 3)
  expect(() => finished(swaps(network, new Recorder(network), { text: 'ab', step: 0 }))).toThrow('REQUEST_INVALID')
})
