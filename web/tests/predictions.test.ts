import { describe, expect, it } from 'vitest'
import type { Readout, Run } from '../src/data/run'
import type { Tensor } from '../src/data/safetensors'
import { Trace } from '../src/data/trace'
import { mergeSteps } from '../src/draw/class-bands'
import { geometry, type HeaderParts, spotAt, SYMBOL_HEADER } from '../src/draw/geometry'
import { headerOf } from '../src/draw/header'
import { stepAt } from '../src/model/characters'
import { makeCharts, roundEnds } from '../src/model/charts'
import { previousStep, leafReader } from '../src/model/evaluation'
import { shortNumber } from '../src/model/numbers'
import {
  estimateAt,
  outputs,
  classPredictions,
  sequenceAt,
  classProbabilities,
  stepName,
} from '../src/model/predictions'
import { verdict } from '../src/model/verdict'

const CLASSES: Readout = { kind: 'classes', names: ['bad', 'good'], quantiles: [], reads: 'every step' }
const AHEAD: Readout = {
  kind: 'numbers',
  names: ['1 ahead', '2 ahead'],
  quantiles: [0.1, 0.5, 0.9],
  reads: 'every step',
}

function trace(labels: string[], starts: number[], more: Record<string, Tensor>, kind = 'classes'): Trace {
  const steps = labels.length
  const tensors = new Map<string, Tensor>(Object.entries(more))
  tensors.set('token', { shape: [steps], data: new Int32Array(steps).fill(-1) })
  tensors.set('start', { shape: [steps], data: Uint8Array.from(labels, (_, t) => Number(starts.includes(t))) })
  if (kind === 'classes' && !tensors.has('log_probability'))
    tensors.set('log_probability', { shape: [steps], data: new Float32Array(steps).fill(NaN) })
  return new Trace({ metadata: { labels: JSON.stringify(labels) }, tensors })
}

const f32 = (width: number, ...values: number[]): Tensor => ({
  shape: [values.length / width, width],
  data: Float32Array.from(values),
})
const i32 = (width: number, ...values: number[]): Tensor => ({
  shape: width === 1 ? [values.length] : [values.length / width, width],
  data: Int32Array.from(values),
})

function about(
  unit: Run['unit'],
  readout: Readout,
  vocabulary: string[],
): Pick<Run, 'unit' | 'readout' | 'vocabulary' | 'task'> {
  return { unit, readout, vocabulary, task: { name: 'adopted', title: '', question: '' } }
}

// Two sentences, of three words and of two; the class of the second is wrong.
const once = { ...CLASSES, reads: 'last step' } as Readout
const classTrace = trace(['not', 'bad', '⏎', 'so', '⏎'], [0, 3], {
  top_token: i32(2, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0),
  top_probability: f32(2, 0.6, 0.4, 0.7, 0.3, 0.9, 0.1, 0.8, 0.2, 0.75, 0.25),
  target: i32(1, -1, -1, 1, -1, 0),
})

describe('classes', () => {
  it('spreads the answer of the end over its own sequence only', () => {
    const found = classPredictions(once, classTrace)!
    expect([...found.predicted]).toEqual([0, 0, 1, 1, 1])
    expect([...found.targets]).toEqual([1, 1, 1, 0, 0])
    expect([...classPredictions(CLASSES, classTrace)!.targets]).toEqual([-1, -1, 1, -1, 0])
  })

  it('gives every class its own probability, whatever its rank', () => {
    expect([...classProbabilities(once, classTrace)!].map((one) => Number(one.toFixed(2)))).toEqual([
      0.6, 0.4, 0.7, 0.3, 0.1, 0.9, 0.2, 0.8, 0.25, 0.75,
    ])
    expect(classProbabilities({ ...once, names: ['a', 'b', 'c'] }, classTrace)).toBeNull()
  })

  it('says what was said of the sequence under the cursor', () => {
    const run = about('word', once, [])
    const at = (step: number) => verdict(run, classTrace, classPredictions(once, classTrace), step)!
    expect(at(0)).toEqual({ text: 'predicted “good”, 90 %', correct: true, target: 'target: “good”' })
    expect(at(3)).toEqual({ text: 'predicted “good”, 75 %', correct: false, target: 'target: “bad”' })
  })

  it('counts what was said rightly where every step has an answer', () => {
    const found = verdict(about('token', CLASSES, []), classTrace, classPredictions(CLASSES, classTrace), 0)!
    expect(found.text).toBe('predicted correctly: 1 of 2 tokens')
  })

  it('joins neighbours that are alike, but not over the start of a sequence', () => {
    const classIds = [0, 0, 1, 1, 1]
    const joined = mergeSteps((t) => classIds[t]!, classTrace.start, 0, 5, true)
    expect(joined.map((one) => [one.id, one.from, one.to])).toEqual([
      [0, 0, 2],
      [1, 2, 3],
      [1, 3, 5],
    ])
    expect(mergeSteps((t) => classIds[t]!, classTrace.start, 0, 5, false)).toHaveLength(5)
    expect(mergeSteps(() => 0, classTrace.start, 2, 2, true)).toEqual([])
  })
})

// A series of four steps; estimates of one and two ahead, whose quantiles cross after the first step.
const series = trace(
  ['1,0', '2,1', '4,0', '8,1'],
  [0],
  {
    input: f32(2, 1, 0, 2, 1, 4, 0, 8, 1),
    value: f32(2, 2, 4, 4, 8, 8, NaN, NaN, NaN),
    estimate: f32(6, 3, 1, 2, 4, 3, 5, 3, 4, 5, 7, 8, 9, 7, 8, 9, 15, 16, 17, 1, 2, 3, 4, 5, 6),
  },
  'numbers',
)
const forecast = about('number', AHEAD, ['x', 'mark'])

describe('numbers', () => {
  it('finds which number is foretold, by what came', () => {
    expect(outputs(forecast, series).map((one) => [one.input, one.ahead])).toEqual([
      [0, 1],
      [0, 2],
    ])
    const named = { ...forecast, readout: { ...AHEAD, names: ['mark 1 ahead', 'mark 2 ahead'] } }
    expect(outputs(named, series).map((one) => one.input)).toEqual([1, 1])
    expect(outputs({ ...forecast, readout: { ...AHEAD, names: ['y', 'z'] } }, series)[0]!.input).toBeNull()
  })

  it('puts quantiles that cross in order', () => {
    expect(estimateAt(AHEAD, series.estimate!, 0, 0)).toEqual({ low: 1, middle: 2, high: 3 })
    expect(estimateAt(AHEAD, series.estimate!, 2, 1)).toEqual({ low: 15, middle: 16, high: 17 })
    const mean = { ...AHEAD, names: ['y'], quantiles: [] }
    expect(estimateAt(mean, { width: 1, data: [4, 6] }, 1, 0)).toEqual({ low: 6, middle: 6, high: 6 })
  })

  it('draws a curve for each number, marks for zeros and ones, and the fan on what is foretold', () => {
    const [x, mark] = makeCharts(forecast, series).charts
    expect([...x!.values]).toEqual([1, 2, 4, 8])
    expect(x!.fan.map((one) => one.name)).toEqual(['1 ahead', '2 ahead'])
    expect([...x!.estimates!.middle]).toEqual([2, 4, 8, 2])
    expect(x!.estimates!.shift).toBe(1)
    expect(mark!.marks).toBe(true)
    expect(mark!.fan).toEqual([])
  })

  it('says how many of those that came lie in the interval', () => {
    // After step 1 came 4 and 8: 4 lies in 3 to 5, 8 in 7 to 9, both in the middle.
    expect(verdict(forecast, series, null, 1)!.text).toContain('2 of the 2 known values lie within the 80 % interval')
    expect(verdict(forecast, series, null, 1)!.text).toContain('off by 0 on average')
    expect(verdict(forecast, series, null, 3)!.text).toContain('beyond the end of the text')
  })

  it('counts a value at the end of the interval, and averages the errors of the medians', () => {
    // The next two values are 4 and 0. The first is the upper end of 1 to 4, the second is below 1 to 8.
    const edge = trace(
      ['5', '4', '0'],
      [0],
      {
        input: f32(1, 5, 4, 0),
        value: f32(2, 4, 0, NaN, NaN, NaN, NaN),
        estimate: f32(6, 1, 2, 4, 1, 3, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3),
      },
      'numbers',
    )
    const found = verdict(about('number', AHEAD, ['x']), edge, null, 0)!.text
    expect(found).toContain('1 of the 2 known values lie within the 80 % interval')
    expect(found).toContain('off by 2.5 on average') // |4 - 2| = 2 and |0 - 3| = 3
  })

  it('takes a heat strip where there are too many for curves', () => {
    const many = trace(['a'], [0], {
      input: f32(8, 1, 2, 3, 4, 5, 6, 7, 8),
      top_token: i32(2, 1, 0),
      top_probability: f32(2, 0.9, 0.1),
      target: i32(1, 1),
    })
    const found = headerOf(about('number', CLASSES, [...'abcdefgh']), many)
    expect(found.charts).toEqual([])
    expect(found.heat!.columns.width).toBe(8)
    expect(found.heat!.scale).toEqual({ kind: 'one', low: 0, high: 8, open: true })
    expect(found.parts).toMatchObject({ text: 'none', classes: ['bad', 'good'], hasTargets: true, surprise: true })
  })

  it('has round ends that hold all values', () => {
    expect(roundEnds([0.13, 2.71])).toEqual([0, 3])
    expect(roundEnds([-7.2, 3])).toEqual([-10, 5])
    expect(roundEnds([])).toEqual([0, 1])
    expect(roundEnds([5])).toEqual([0, 5])
    expect(roundEnds([0, 0])).toEqual([0, 1])
    expect(roundEnds([-4])).toEqual([-4, 0])
  })

  it('names a step by its numbers', () => {
    expect(stepName(forecast, series, 2)).toBe('x 4, mark 0')
    expect(shortNumber(-0.25)).toBe('−0.25')
    expect(shortNumber(1e-16)).toBe('0')
    expect(shortNumber(0.0001)).toBe('1.0e−4')
    expect(shortNumber(123.456)).toBe('123.5')
    expect(shortNumber(NaN)).toBe('?')
  })
})

describe('a layer that reads from the end', () => {
  const values = trace(['a', 'b', 'c', 'd', 'e'], [0, 3], {
    top_token: i32(1, 0, 0, 0, 0, 0),
    top_probability: f32(1, 1, 1, 1, 1, 1),
    'layer0_reverse.h': f32(5, 10, 20, 30, 40, 50),
  })

  it('has read the next step of its sequence before this one', () => {
    expect([0, 1, 2, 3, 4].map((step) => previousStep(true, values, step))).toEqual([1, 2, null, 4, null])
    expect([0, 1, 2, 3, 4].map((step) => previousStep(false, values, step))).toEqual([null, 0, 1, null, 3])
  })

  it('takes its state from there', () => {
    const read = (step: number) =>
      leafReader({ name: 'layer0_reverse', reverse: true }, values, 0, step)({ state: 'h' })
    expect([0, 1, 2, 3, 4].map(read)).toEqual([20, 30, 0, 50, 0])
  })
})

describe('where words and curves lie', () => {
  const measure = (text: string): number => 60 * text.length
  const words = ['such', 'a', 'disappointment', '.']
  const head: HeaderParts = { ...SYMBOL_HEADER, text: 'words', classes: ['bad', 'good'], hasTargets: true }
  const place = (zoom: number, labels: string[], room: number, above = head) =>
    geometry(zoom, labels, 134, 0, measure, { track: false, chips: false, note: 0, header: above, width: room })

  it('sets words in their columns where all fit, and slants them where not', () => {
    const wide = place(3, words, 900)
    expect(wide.slanted).toBe(false)
    expect(wide.cell).toBeGreaterThan(60)
    const narrow = place(3, words, 200)
    expect(narrow.slanted).toBe(true)
    expect(narrow.cell).toBeLessThan(50)
    expect(narrow.ruler.height).toBeGreaterThan(wide.ruler.height)
    expect(place(4, words, 200).slanted).toBe(false)
    expect(place(0, words, 900).ruler.height).toBe(0)
  })

  it('gives every part its own height, one under the other', () => {
    const g = place(3, words, 900, { ...head, charts: [112, 40], heat: 60 })
    const parts = [g.ruler, ...g.charts, g.heat, g.predicted, g.target, g.predictions, g.surprise]
    for (let k = 1; k < parts.length; k++)
      expect(parts[k]!.y).toBeGreaterThanOrEqual(parts[k - 1]!.y + parts[k - 1]!.height)
    expect(g.header).toBeGreaterThan(g.surprise.y + g.surprise.height)
    const at = (y: number) => spotAt(g, 3, 4, { left: 0, top: 0 }, g.label + 1.5 * g.cell, y)
    expect(at(g.charts[1]!.y + 5)).toEqual({ part: 'chart', chart: 1, step: 1 })
    expect(at(g.heat.y + 30)).toEqual({ part: 'heat', share: 0.5, step: 1 })
    expect(at(g.predicted.y + 2)).toEqual({ part: 'predicted', step: 1 })
    expect(at(g.target.y + 2)).toEqual({ part: 'target', step: 1 })
    expect(at(g.ruler.y + 2)).toEqual({ part: 'ruler', step: 1 })
  })

  it('fits a series and what is foretold into sight', () => {
    const numbers: HeaderParts = {
      ...SYMBOL_HEADER,
      text: 'none',
      predictions: false,
      surprise: false,
      charts: [112],
      ahead: 12,
    }
    const cells = [0, 1, 2, 3, 4].map((zoom) => place(zoom, Array<string>(96).fill('1'), 760, numbers).cell)
    expect(cells).toEqual([2, 3, 5, 7, 25])
    expect(cells[3]! * (96 + 12)).toBeLessThanOrEqual(760)
  })
})

it('finds the step of a place in a text of words, or of lines of numbers', () => {
  const labels = ['so', 'it', '.', '\n', 'yes']
  expect([1, 2, 4, 6, 8, 10].map((caret) => stepAt(labels, 'so it.\nyes', caret, 'word'))).toEqual([0, 0, 1, 2, 4, 4])
  expect([1, 3, 4, 7, 8].map((caret) => stepAt(['1,2', '3,4', '5,6'], '1,2\n3,4\n\n5,6', caret, 'number'))).toEqual([
    0, 0, 0, 1, 1,
  ])
  expect(stepAt(['1,2', '3,4', '5,6'], '1,2\n3,4\n\n5,6', 11, 'number')).toBe(2)
})

it('knows where the sequence of a step begins and ends', () => {
  const start = Uint8Array.from([1, 0, 0, 1, 0])
  expect([0, 2, 3, 4].map((step) => sequenceAt(start, step))).toEqual([
    { first: 0, end: 3 },
    { first: 0, end: 3 },
    { first: 3, end: 5 },
    { first: 3, end: 5 },
  ])
})
