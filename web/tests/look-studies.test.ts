import { describe, expect, it } from 'vitest'
import { rows } from '../src/data/study'
import { BINS, distributionOf, neuronsInBin, parseBin } from '../src/model/distributions'
import { peaks } from '../src/model/peaks'
import { markersOf, type ReadSequences, snapshotOf } from '../src/model/snapshots'
import { LOOKS, lookArray, NEURONS, SIGNALS } from './looks'

const labels = [...LOOKS.text]

describe('distributions', () => {
  for (const { title, one, signal, values, steps } of SIGNALS)
    it(`are those of the study: ${title}`, () => {
      const range = one.ranges[signal] ?? [null, null]
      const found = distributionOf(signal, values, steps, range)
      const expected = rows(one.distributions).filter((row) => row['signal'] === signal)
      const counts = (neuron: number): number[] =>
        expected.filter((row) => row['neuron'] === neuron).map((row) => Number(row['count']))
      expect(found.total).toEqual(counts(-1))
      for (let n = 0; n < NEURONS; n++) expect(found.counts![n]).toEqual(counts(n))
      expect(found.low).toBeCloseTo(Number(expected[0]!['low']), 12)
      expect(found.high).toBeCloseTo(Number(expected[BINS - 1]!['high']), 12)
      const moments = rows(one.moments).find((row) => row['signal'] === signal)!
      for (const name of ['mean', 'deviation', 'smallest', 'largest'] as const)
        expect(found[name]).toBeCloseTo(Number(moments[name]), 10)
    })

  it('list the neurons of a bin, and read it from an address', () => {
    const found = distributionOf('h', Float32Array.of(0, 1, 1, 1, 0, 0), 3, [0, 1])
    expect(neuronsInBin(found, 0)).toEqual([
      { neuron: 1, share: 2 / 3 },
      { neuron: 0, share: 1 / 3 },
    ])
    expect(neuronsInBin(found, 5)).toEqual([])
    expect(parseBin('h_1.12')).toEqual({ signal: 'h_1', bin: 12 })
    for (const wrong of [null, '', 'c', 'c.x', 'c.40', '.3']) expect(parseBin(wrong)).toBeNull()
  })

  it('are there without values, and with ones that are not finite', () => {
    expect(distributionOf('h', new Float32Array(), 0, [null, null])).toMatchObject({ values: 0, mean: null })
    const odd = distributionOf('h', Float32Array.of(NaN, 2, Infinity, 2), 4, [null, null])
    expect(odd).toMatchObject({ values: 2, not_finite: 2, low: 1.5, high: 2.5 })
  })
})

describe('snapshots', () => {
  for (const { title, one, signal, values } of SIGNALS)
    it(`are those of the study: ${title}`, () => {
      const read = { labels, start: lookArray(one, 'start') as unknown as Uint8Array, end: '\n', between: '' }
      const found = snapshotOf(read, values, { layer: 'layer0', signal }, LOOKS.at)
      const expected = new Map(rows(one.snapshot).map((row) => [`${row['text']} ${row['neuron']}`, row]))
      expect(found.texts.length * NEURONS).toBe(expected.size)
      found.texts.forEach((word, k) => {
        for (let n = 0; n < NEURONS; n++) {
          const row = expected.get(`${word} ${n}`)!
          expect(found.values[n]![k]).toBe(row[signal])
          expect(found.steps[k]).toBe(row['step'])
        }
      })
    })

  it('take the symbol that most sequences have once, and count from either end', () => {
    const words = [...'aXb\naaXbb\naXb\nab\n']
    const start = Uint8Array.from(words, (_, k) => Number(k === 0 || words[k - 1] === '\n'))
    const read: ReadSequences = { labels: words, start, end: '\n', between: '' }
    expect(markersOf(read)[0]).toEqual({ symbol: 'a', sequences: 3 })
    const values = Float32Array.from(words, (_, k) => k)
    const names = { layer: 'layer0', signal: 'h' }
    expect(snapshotOf(read, values, names, 'X')).toMatchObject({ steps: [1, 2], without: 1, values: [[1, 6]] })
    expect(snapshotOf(read, values, names, '#-1')).toMatchObject({ texts: ['ab\n', 'aXb\n', 'aaXbb\n'] })
    expect(snapshotOf(read, values, names, '#4').texts).toEqual(['aaXbb\n'])
  })
})

describe('peaks', () => {
  for (const { title, one, values, steps, expected } of SIGNALS)
    it(`are those of the study of passages: ${title}`, () => {
      const start = lookArray(one, 'start') as unknown as Uint8Array
      const starts = [...start].flatMap((value, k) => (value ? [k] : []))
      for (const [neuron, table] of [
        [0, expected.peaks[0]!],
        [5, expected.peaks[1]!],
      ] as const) {
        const row = values.subarray(neuron * steps, (neuron + 1) * steps)
        const places = rows(table).map((one) => starts[Number(one['sequence'])]! + Number(one['step']))
        expect(peaks(row, start, labels, LOOKS.peaks, LOOKS.apart)).toEqual(places)
      }
    })
})
