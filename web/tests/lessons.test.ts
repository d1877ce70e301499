// The lessons of the playground, on networks that are trained here: each truth beside another computation of it.
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Intervention } from '../engine/interventions'
import { readTensors, type Tensor } from '../engine/tensors'
import type { Progress } from '../engine/training/calls'
import { answer, Engine } from '../engine/worker'
import { type Beside, LessonNetwork } from '../src/data/lesson-network'
import type { PlaygroundIndex, TaskBundle } from '../src/data/playground'
import { experimentText, networkOf, parseExperiment, recipeOf } from '../src/model/experiment'
import { type Judge, LessonUnfit, type Said } from '../src/model/lesson'
import { isOfLesson, lessonNamed, LESSONS } from '../src/model/lessons'
import { mainSignal } from '../src/model/main-signal'
import { plainBytes } from './engine/kernel-problems'

const files = import.meta.glob<{ index: PlaygroundIndex; bundles: Record<string, TaskBundle> }>(
  './engine/fixtures/playground.json',
  { import: 'default', eager: true },
)
const made = Object.values(files)[0]
if (!made) throw new Error('playground.json is missing: run scripts/write-engine-fixtures web/tests/engine/fixtures')
const { index, bundles } = made

const UPDATES_BEYOND = 100

// A network is trained in some seconds where several tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let id = 0

/** A worker in which a network was trained until it was right. */
class Trained {
  readonly engine = new Engine()
  readonly entries: Progress['entries'] = []
  progress!: Progress
  network!: LessonNetwork

  constructor(readonly words: string) {}

  call = async (call: { call: string; [field: string]: unknown }): Promise<unknown> => {
    const reply = await answer(this.engine, { id: id++, ...call } as never)
    if (!reply.ok) throw new Error(reply.code)
    return reply.value
  }

  async train(isTrained = true): Promise<this> {
    await this.call({ call: 'kernels', plain: plainBytes.slice().buffer, relaxed: plainBytes.slice().buffer })
    const experiment = parseExperiment(this.words, index)!
    const bundle = bundles[experiment.task]!
    const request = (cell: string): Beside['start'] => ({
      bundle,
      network: networkOf({ ...experiment, cell }, bundle, index),
      recipe: recipeOf(experiment),
      seed: experiment.seed,
    })
    const layerOf = (cell: string): Pick<Beside, 'layer' | 'signal'> => {
      const about = index.cells.find(({ name }) => name === cell)!.layer
      const layer = { ...about, name: 'layer0', neurons: experiment.neurons }
      return { layer, signal: mainSignal(layer, '\n')! }
    }
    await this.#ask({ action: 'start', ...request(experiment.cell) })
    const solved = (): number => this.entries.find(({ score }) => score?.solved)?.step ?? Infinity
    while (isTrained && this.progress.step < solved() + UPDATES_BEYOND && this.progress.ended === null)
      await this.#ask({ action: 'advance', updates: 50 })
    const step = isTrained ? 'best' : 'present'
    const weights = (await this.call({ call: 'train', run: 'p', request: { action: 'weights', step } })) as ArrayBuffer
    await this.#ask({ action: 'show', step })
    const subject = { bundle, ...layerOf(experiment.cell), updates: this.progress.step }
    const network = request(experiment.cell).network as object
    const beside = (cell: string): Beside => ({ start: request(cell), ...layerOf(cell) })
    this.network = await LessonNetwork.open({ call: this.call }, { ...subject, network, weights }, beside)
    return this
  }

  /** Return what the network writes by itself behind a text, by the code that writes samples. */
  async sample(prime: string, ...interventions: Intervention[]): Promise<string> {
    const request = { prime, length: 30, greedy: true, stop: '\n', interventions }
    return (await this.call({ call: 'sample', run: 'p', request })) as string
  }

  async weights(): Promise<ReadonlyMap<string, Tensor>> {
    const request = { action: 'weights', step: 'best' }
    return readTensors((await this.call({ call: 'train', run: 'p', request })) as ArrayBuffer).tensors
  }

  async #ask(request: object): Promise<void> {
    this.progress = (await this.call({ call: 'train', run: 'p', request })) as Progress
    this.entries.push(...this.progress.entries)
  }
}

const held = (neuron: number, signal: string, shift: number, start = 0, stop: number | null = null): Intervention => ({
  layer: 'layer0',
  neuron,
  signal,
  scale: 0,
  shift,
  steps: { start, stop },
  row: null,
})
const NEURONS = [...Array(10).keys()]

/** Return the code of what is said about each answer. */
const codes = async (judge: Judge, answers: readonly number[]): Promise<string[]> => {
  const found: string[] = []
  for (const one of answers) found.push((await judge(one)).why.code)
  return found
}
const judgeOf = (name: string, { network }: Trained): Promise<Judge> => lessonNamed(name)!.measure(network)

describe('the table of lessons', () => {
  it('has experiments of one layer of ten neurons, by different names', () => {
    expect(new Set(LESSONS.map(({ name }) => name)).size).toBe(6)
    for (const { experiment } of LESSONS) {
      expect(experimentText(parseExperiment(experiment, index)!)).toBe(experiment)
      expect(experiment).toMatch(/^\w+ 10 1 /)
    }
  })
  it('finds a lesson by its name, and its experiment with any seed', () => {
    expect(lessonNamed('counting')).toBe(LESSONS[2])
    expect([lessonNamed('count'), lessonNamed(null)]).toEqual([null, null])
    const counting = LESSONS[2]!
    expect(isOfLesson(counting, 'lstm 10 1 counter rate 0.02 seed 3')).toBe(true)
    expect(['gru 10 1 counter', 'lstm 10 1 counters', ''].map((words) => isOfLesson(counting, words))).toEqual([
      false,
      false,
      false,
    ])
  })
})

describe('a counter', () => {
  let counter: Trained
  beforeAll(async () => void (counter = await new Trained('lstm 10 1 counter').train()))

  it('writes as many b’s with a gate held as a sample does', async () => {
    const judge = await judgeOf('gate', counter)
    const counts: number[] = []
    for (const neuron of NEURONS) counts.push((await counter.sample('aaaaaX', held(neuron, 'f', 0, 5, 6))).length - 1)
    const most = counts.reduce((best, count) => (Math.abs(count - 5) > Math.abs(best - 5) ? count : best), 5)
    expect(most).not.toBe(5)
    const verdict = await judge(most)
    expect(verdict).toMatchObject({ right: true, why: { values: { neuron: counts.indexOf(most), written: most } } })
    expect(await codes(judge, [most - 1, most + 1])).toEqual(['LESSON_GATE_MORE', 'LESSON_GATE_FEWER'])
    expect(verdict.look.holds).toEqual([
      { layer: 'layer0', neuron: counts.indexOf(most), signal: 'f', value: 0, first: 5, last: 5 },
    ])
  })

  it('has the neuron that correlates most with what it owes, and loses count without its gate', async () => {
    const judge = await judgeOf('counting', counter)
    const strings = NEURONS.map((k) => `${'a'.repeat(k + 1)}X${'b'.repeat(k + 1)}`)
    const { values } = await counter.network.read(strings.join('\n'), 'c')
    const text = strings.join('\n')
    const owed: number[] = []
    for (const symbol of text) owed.push(symbol === '\n' ? NaN : (owed.at(-1) || 0) + { a: 1, X: 0, b: -1 }[symbol]!)
    const squared = NEURONS.map(
      (n) => correlation([...values.subarray(n * text.length, (n + 1) * text.length)], owed) ** 2,
    )
    const best = squared.indexOf(Math.max(...squared))
    const verdict = await judge(best)
    expect(verdict.right).toBe(true)
    const written = (await counter.sample('aaaaaX', held(best, 'f', 0, 5))).length - 1
    expect(verdict.why.values).toMatchObject({ neuron: best, written })
    const worst = squared.indexOf(Math.min(...squared))
    expect(await judge(worst)).toMatchObject({ right: false, why: { code: 'LESSON_COUNTING_WRONG' } })
  })
})

/** Return the correlation of two series where the second one is a number. */
function correlation(x: readonly number[], y: readonly number[]): number {
  const pairs = x.map((value, k) => [value, y[k]!] as const).filter((pair) => !Number.isNaN(pair[1]))
  const mean = (of: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[of], 0) / pairs.length
  const [mx, my] = [mean(0), mean(1)]
  const sum = (term: (a: number, b: number) => number): number =>
    pairs.reduce((total, [a, b]) => total + term(a - mx, b - my), 0)
  return sum((a, b) => a * b) / Math.sqrt(sum((a) => a * a) * sum((_, b) => b * b))
}

it('a memory is turned to the other letter by one neuron', async () => {
  const memory = await new Trained('lstm 10 1 state_memoriser').train()
  const judge = await judgeOf('state', memory)
  const verdicts = await Promise.all(NEURONS.map(async (neuron) => await judge(neuron)))
  const [right] = verdicts.filter((verdict) => verdict.right)
  expect(verdicts.some((verdict) => !verdict.right)).toBe(true)
  const { neuron, value } = right!.look.holds![0]!
  const last = (await memory.network.read('BxxxxxY', 'c')).values[neuron * 7 + 5]!
  expect(value).toBeCloseTo(last, 5)
  const written = await memory.sample('AxxxxxY', held(neuron, 'c', value, 1))
  expect(right!.why.values).toMatchObject({ written: written[0] })
  expect(right!.why.code).toBe(written[0] === 'a' ? 'LESSON_STATE_SHARED' : 'LESSON_STATE_RIGHT')
})

describe('a network that copies', () => {
  let copying: Trained
  beforeAll(async () => void (copying = await new Trained('lstm 10 1 copy').train()))

  it('breaks as many words as its samples do without a neuron', async () => {
    const judge = await judgeOf('copying', copying)
    const left: number[] = []
    for (const neuron of NEURONS) {
      let right = 0
      for (const word of bundles['copy']!.remembered!.strings) {
        const [letters = '', rest = ''] = word.split('X')
        if ((await copying.sample(`${letters}X`, held(neuron, 'h', 0))) === rest) right++
      }
      left.push(right)
    }
    const needed = left.filter((words) => words < 27).length
    const verdict = await judge(needed)
    expect(verdict).toMatchObject({
      right: true,
      why: { values: { needed, least: Math.min(...left), most: Math.max(...left) } },
    })
    expect(await codes(judge, [needed - 1, needed + 1])).toEqual(['LESSON_COPYING_MORE', 'LESSON_COPYING_FEWER'])
  })

  it('copies the share of longer words that its score has', async () => {
    const judge = await judgeOf('long-copying', copying)
    const { shares } = copying.entries.find(({ step }) => step === copying.progress.best)!.score!
    const truth = shares![4]! >= 2 / 3 ? 0 : shares![4]! >= 1 / 3 ? 1 : 2
    const { right, why } = await judge(truth)
    expect(right).toBe(true)
    const values = why.values as Record<string, number>
    expect(values['right']! / values['words']!).toBeCloseTo(shares![4]!, 12)
    expect(values['longer']! / values['all']!).toBeCloseTo(shares![5]!, 12)
    expect([values['words'], values['all']]).toEqual([81, 243])
    let first = 0
    for (const string of bundles['copy']!.score.longer!.text.filter((one) => one.length === 10))
      if ((await copying.sample(string.slice(0, 5)))[0] === string[5]) first++
    expect(values['one']).toBe(first)
    expect(
      await codes(
        judge,
        [0, 1, 2].filter((one) => one !== truth),
      ),
    ).toEqual(
      [0, 1, 2].filter((one) => one !== truth).map((one) => (one < truth ? 'LESSON_LONG_LESS' : 'LESSON_LONG_MORE')),
    )
  })
})

it('a plain RNN forgets where the product of its Jacobians says so, and an LSTM does not', async () => {
  const plain = await new Trained('elman 10 1 counter').train()
  const judge = await judgeOf('forgetting', plain)
  const text = `${'a'.repeat(20)}X${'b'.repeat(20)}`
  const { values: h } = await plain.network.read(text, 'h')
  const u = [...(await plain.weights())].find(([name]) => /\bu\b|recurrent/.test(name))![1]
  // h = tanh(W x + U h' + b), so one step multiplies by diag(1 - h²) U.
  let product = NEURONS.map((i) => NEURONS.map((j) => Number(i === j)))
  let distance = 0
  while (largest(product) >= 0.01) {
    const t = text.length - 1 - distance++
    product = product.map((row) =>
      NEURONS.map((j) =>
        NEURONS.reduce((sum, k) => sum + row[k]! * (1 - h[k * text.length + t]! ** 2) * Number(u.data[k * 10 + j]), 0),
      ),
    )
  }
  const verdict = await judge(distance)
  expect(verdict).toMatchObject({ right: true, why: { values: { distance, updates: plain.progress.step } } })
  expect(Number(verdict.why.values!['lstm'])).toBeGreaterThan(0.1)
  expect(await codes(judge, [1, 40])).toEqual(['LESSON_FORGETTING_FURTHER', 'LESSON_FORGETTING_NEARER'])
})

/** Return the largest singular value, by power iteration. */
function largest(matrix: readonly (readonly number[])[]): number {
  let v = NEURONS.map((k) => Math.sin(k + 1))
  let size = 0
  for (let turn = 0; turn < 500; turn++) {
    const forth = matrix.map((row) => row.reduce((sum, value, k) => sum + value * v[k]!, 0))
    const back = NEURONS.map((k) => matrix.reduce((sum, row, i) => sum + row[k]! * forth[i]!, 0))
    const length = Math.hypot(...back)
    size = Math.sqrt(length)
    v = back.map((value) => value / length)
  }
  return size
}

it.each([
  ['gate', 'LESSON_UNFIT_COUNTER'],
  ['counting', 'LESSON_UNFIT_COUNTER'],
  ['copying', 'LESSON_UNFIT_COPY'],
  ['long-copying', 'LESSON_UNFIT_COPY'],
])('%s asks nothing about an untrained network: %s', async (name, code) => {
  const untrained = await new Trained(lessonNamed(name)!.experiment).train(false)
  const why = await judgeOf(name, untrained).then(
    (): Said | null => null,
    (error: unknown) => (error as LessonUnfit).why,
  )
  expect(why).toMatchObject({ code })
})
