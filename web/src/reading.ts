// What the network read, what it said and what it should have said, step by step, whatever the kind of either.
import { named } from './glyphs'
import { percent } from './words'
import type { Readout, Summary, Unit } from './source'
import { type Columns, column, type Trace } from './trace'

interface About {
  unit: Unit
  readout: Readout
  vocabulary: string[]
}

/** What one step is called. */
export function stepWord(unit: Unit): string {
  return unit === 'number' ? 'line of numbers' : unit === 'byte' ? 'character' : unit
}

export function inWords(unit: Unit): boolean {
  return unit === 'word' || unit === 'token'
}

/** What a network reads, counted: 19 symbols, 4,000 words, 2 numbers a step. */
export function reads(unit: Unit, symbols: number): string {
  const count = symbols.toLocaleString('en-US')
  const many = symbols === 1 ? '' : 's'
  if (unit === 'number') return `${count} number${many} a step`
  return inWords(unit) ? `${count} ${unit}${many}` : `${count} symbol${many}`
}

/** What it says: nothing to add of symbols; 2 classes, 12 numbers. */
export function says({ kind, names, reads }: Readout): string {
  if (kind === 'symbols') return ''
  const what =
    kind === 'classes' ? (names.length === 1 ? 'class' : 'classes') : names.length === 1 ? 'number' : 'numbers'
  const said = names.length <= FEW ? names.join(', ') : `${names.length} ${what}`
  return ` → ${said}, ${reads === 'last step' ? 'once at the end' : 'after every step'}`
}

/** Layers, counted; two that read in both directions are one layer that does. */
export function layersOf(layers: { neurons: number; reverse: boolean; stacked?: boolean }[], and = ' and '): string {
  const forward = layers.filter((layer) => !layer.reverse || layer.stacked)
  const alone = layers.filter((layer) => layer.stacked).length
  const both =
    (forward.length < layers.length ? ', read in both directions' : '') +
    (alone ? (alone === layers.length ? ', read from the end' : `, ${alone} of them read from the end`) : '')
  const sizes = [...new Set(forward.map((layer) => layer.neurons.toLocaleString('en-US')))].join(and)
  const neurons = sizes === '1' ? 'neuron' : 'neurons'
  return `${forward.length} layer${forward.length === 1 ? '' : 's'} of ${sizes} ${neurons}${both}`
}

/** What a loss is measured in. */
export function lossUnit({ readout }: { readout: Readout }): string {
  if (readout.kind === 'numbers') return readout.quantiles.length ? ' pinball loss' : ' squared error'
  return ` nats per ${readout.kind === 'symbols' ? 'symbol' : 'answer'}`
}

const FEW = 3

/** A number as it is said: three digits that matter, and no more than three behind the point. */
export function short(value: number): string {
  if (Number.isNaN(value)) return '?'
  const size = Math.abs(value)
  if (size < 1e-9) return '0' // rounding of what should be 0
  const text = size < 0.0005 ? size.toExponential(1) : String(Number(size.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1)))
  return (value < 0 && Number(text) !== 0 ? '−' : '') + text.replace('-', '−')
}

/** What was read in a step, as it is named in a sentence: “a”, “cats”, value 0.25 and marker 1. */
export function stepName(about: About, trace: Trace, step: number): string {
  const { input } = trace
  if (!input) return named(trace.labels[step] ?? '')
  if (input.width > FEW) return `${input.width} numbers`
  const at = Array.from({ length: input.width }, (_, k) => input.data[step * input.width + k]!)
  return at.map((value, k) => `${about.vocabulary[k] ?? ''} ${short(value)}`).join(', ')
}

/** The first step behind the sequence that a step is in, and its own first step. */
export function sequenceAt(start: Uint8Array, step: number): { first: number; end: number } {
  let first = step
  while (first > 0 && !start[first]) first--
  let end = step + 1
  while (end < start.length && !start[end]) end++
  return { first, end }
}

/** Classes: what was said, and what should have been, -1 where nothing was or nobody knows. */
export interface Said {
  names: string[]
  once: boolean
  said: Int32Array
  right: Int32Array
}

/** Of a network that answers once, what should have been said at its end stands at every step of the sequence. */
export function saidClasses(readout: Readout, trace: Trace): Said | null {
  if (readout.kind !== 'classes' || !trace.target) return null
  const { steps, top, topToken, start } = trace
  const once = readout.reads === 'last step'
  const said = Int32Array.from({ length: steps }, (_, t) => (top ? topToken[t * top]! : -1))
  const right = Int32Array.from(trace.target, (id) => (id < readout.names.length ? id : -1))
  if (once) for (let t = steps - 2; t >= 0; t--) if (!start[t + 1] && right[t] === -1) right[t] = right[t + 1]!
  return { names: readout.names, once, said, right }
}

/** The probability of every class in their order, where all of them were sent; NaN where nothing was said. */
export function shares(readout: Readout, trace: Trace): Float32Array | null {
  const { top, steps, topToken, topProbability } = trace
  const classes = readout.names.length
  if (readout.kind !== 'classes' || top < classes) return null
  const found = new Float32Array(steps * classes).fill(NaN)
  for (let k = 0; k < topToken.length; k++) {
    const id = topToken[k]!
    if (id >= 0) found[Math.floor(k / top) * classes + id] = topProbability[k]!
  }
  return found
}

/** An output of estimated numbers, at the quantiles it has; one that is `ahead` foretells a number that is read. */
export interface Output {
  name: string
  index: number
  /** Which number it foretells, and how many steps ahead. */
  input: number | null
  ahead: number
}

const AHEAD = /^(?:(.+) )?(\d+) ahead$/

/** Of "3 ahead" the name of the series may be missing: it is the number that came in the next steps. */
function foretold(about: About, trace: Trace, series: string | undefined): number | null {
  const { input, value } = trace
  if (!input) return null
  if (series !== undefined) {
    const found = about.vocabulary.indexOf(series)
    return found < 0 ? null : found
  }
  const first = about.readout.names.findIndex((name) => AHEAD.exec(name)?.[2] === '1')
  for (let k = 0; k < input.width; k++) {
    let same = 0
    for (let t = 0; t + 1 < trace.steps; t++) {
      if (trace.start[t + 1]) continue
      const came = value?.data[t * value.width + first] ?? NaN
      if (Number.isNaN(came)) continue
      if (Math.abs(came - input.data[(t + 1) * input.width + k]!) > 1e-6) same = -Infinity
      same++
    }
    if (same > 0) return k
  }
  return input.width === 1 ? 0 : null
}

export function outputs(about: About, trace: Trace): Output[] {
  if (about.readout.kind !== 'numbers') return []
  const inputs = new Map<string | undefined, number | null>()
  return about.readout.names.map((name, index) => {
    const [, series, ahead] = AHEAD.exec(name) ?? []
    if (ahead === undefined) return { name, index, input: null, ahead: 0 }
    if (!inputs.has(series)) inputs.set(series, foretold(about, trace, series))
    return { name, index, input: inputs.get(series) ?? null, ahead: Number(ahead) }
  })
}

export interface Estimate {
  low: number
  middle: number
  high: number
}

/** What was estimated of one output after a step: its outer quantiles and its middle; all three the mean without quantiles. */
export function estimateAt({ quantiles }: Readout, estimate: Columns, step: number, index: number): Estimate {
  const each = Math.max(1, quantiles.length)
  const at = (k: number): number => estimate.data[step * estimate.width + index * each + k]!
  // Quantiles that cross are put in order.
  const sorted = Float64Array.from({ length: each }, (_, k) => at(k)).sort()
  return { low: sorted[0]!, middle: sorted[each >> 1]!, high: sorted[each - 1]! }
}

/** The share of values between the outer quantiles, as a per cent: 80. Null where there is one quantile, or none. */
export function interval({ quantiles }: Readout): number | null {
  return quantiles.length < 2 ? null : Math.round(100 * (quantiles.at(-1)! - quantiles[0]!))
}

/** A curve over the steps: what was read or asked for, and what was estimated of it. */
export interface Chart {
  name: string
  /** Whether `values` were read (or else: should have been said). */
  read: boolean
  values: Float32Array
  /** There is a value at some step. */
  known: boolean
  /** Only zeros and ones: drawn as marks. */
  marks: boolean
  /** One estimate a step, drawn where it belongs: the first one ahead, or that of this step. */
  estimates: { shift: number; low: Float32Array; middle: Float32Array; high: Float32Array } | null
  /** The outputs that foretell it, nearest first. */
  fan: Output[]
  low: number
  high: number
}

export interface Charts {
  charts: Chart[]
  /** Numbers that are too many for curves: a heat strip, with the number of rows. */
  heat: boolean
  /** Outputs that are not drawn. */
  more: number
}

const MOST_CURVES = 6

/** Round ends around some values; those beyond are cut off at the edge of the chart. */
export function ends(values: Iterable<number>): [number, number] {
  let low = Infinity
  let high = -Infinity
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low > high) return [0, 1]
  if (low === high) [low, high] = [Math.min(0, low), Math.max(low === 0 ? 1 : 0, high)]
  const unit = 10 ** Math.floor(Math.log10(high - low)) / 2
  const clean = (value: number): number => Number(value.toPrecision(6))
  return [clean(Math.floor(low / unit) * unit), clean(Math.ceil(high / unit) * unit)]
}

/** The middle nine tenths of what was estimated: one wild estimate must not flatten the curve. */
function usual(values: Float32Array): number[] {
  const known = values.filter((value) => Number.isFinite(value)).sort()
  return known.length ? [known[Math.floor(known.length * 0.05)]!, known[Math.ceil(known.length * 0.95) - 1]!] : []
}

function running(readout: Readout, trace: Trace, output: Output): NonNullable<Chart['estimates']> {
  const each = (read: (estimate: Estimate) => number): Float32Array =>
    Float32Array.from({ length: trace.steps }, (_, t) => read(estimateAt(readout, trace.estimate!, t, output.index)))
  return {
    shift: output.ahead,
    low: each((one) => one.low),
    middle: each((one) => one.middle),
    high: each((one) => one.high),
  }
}

function chart(name: string, read: boolean, values: Float32Array, said: Chart['estimates'], fan: Output[]): Chart {
  const marks = read && !said && values.length > 0 && values.every((value) => value === 0 || value === 1)
  const seen = [...values.filter((value) => Number.isFinite(value))]
  const [low, high] = marks ? [0, 1] : ends([...seen, ...(said ? [...usual(said.low), ...usual(said.high)] : [])])
  return { name, read, values, known: seen.length > 0, marks, estimates: said, fan, low, high }
}

/** Curves of what was read, and of what was estimated, as far as there is room for them. */
export function charts(about: About, trace: Trace): Charts {
  const { readout, vocabulary } = about
  const all = outputs(about, trace)
  const { input, value, estimate } = trace
  const found: Chart[] = []
  const width = input?.width ?? 0
  const heat = width > MOST_CURVES
  for (let k = 0; k < width; k++) {
    const fan = all.filter((output) => output.input === k).sort((a, b) => a.ahead - b.ahead)
    if (heat && !fan.length) continue
    const said = fan[0] && estimate ? running(readout, trace, fan[0]) : null
    found.push(chart(vocabulary[k] ?? String(k), true, column(input!, k), said, fan))
  }
  const own = estimate ? all.filter((output) => output.input === null) : []
  for (const output of own.slice(0, MOST_CURVES)) {
    const right = value ? column(value, output.index) : new Float32Array(trace.steps).fill(NaN)
    if (readout.reads === 'last step')
      for (let t = trace.steps - 2; t >= 0; t--)
        if (!trace.start[t + 1] && Number.isNaN(right[t]!)) right[t] = right[t + 1]!
    found.push(chart(output.name, false, right, running(readout, trace, { ...output, ahead: 0 }), []))
  }
  return { charts: found, heat, more: Math.max(0, own.length - MOST_CURVES) }
}

/** In one sentence: what was said about the sequence of a step, or about all steps, beside what is right. */
export interface Verdict {
  text: string
  /** Null where nobody knows what is right. */
  good: boolean | null
  right: string
}

function of(right: number, asked: number, unit: string): string {
  return `${right} of ${asked} ${unit}${asked === 1 ? '' : 's'}`
}

export function verdict(about: About, trace: Trace, found: Said | null, step: number): Verdict | null {
  const { readout } = about
  if (!trace.steps || readout.kind === 'symbols') return null
  const last = sequenceAt(trace.start, step).end - 1
  const once = readout.reads === 'last step'
  if (readout.kind === 'classes') {
    if (!found) return null
    const name = (id: number): string => readout.names[id] ?? '?'
    if (once) {
      const said = found.said[last]!
      if (said < 0) return null
      const probability = trace.topProbability[last * trace.top]!
      const right = found.right[last]!
      return {
        text: `said “${name(said)}”, ${percent(probability)}`,
        good: right < 0 ? null : right === said,
        right: right < 0 ? 'what is right is not known of this text' : `right: “${name(right)}”`,
      }
    }
    let asked = 0
    let hit = 0
    found.right.forEach((right, t) => {
      asked += Number(right >= 0)
      hit += Number(right >= 0 && right === found.said[t])
    })
    if (!asked) return { text: 'what is right is not known of this text', good: null, right: '' }
    const unit = about.unit === 'number' ? 'step' : stepWord(about.unit)
    return { text: `said rightly: ${of(hit, asked, unit)}`, good: hit === asked, right: '' }
  }
  return numbersVerdict(about, trace, step, last)
}

function numbersVerdict(about: About, trace: Trace, step: number, last: number): Verdict | null {
  const { readout } = about
  const { estimate, value } = trace
  if (!estimate) return null
  const once = readout.reads === 'last step'
  const all = outputs(about, trace)
  const share = interval(readout)
  if (once || !all.some((output) => output.ahead)) {
    const at = once ? last : step
    const told = all.slice(0, FEW).map((output) => {
      const { low, middle, high } = estimateAt(readout, estimate, at, output.index)
      const right = value ? value.data[at * value.width + output.index]! : NaN
      return { name: output.name, low, middle, high, right }
    })
    if (told.every((one) => Number.isNaN(one.middle))) return null
    const known = told.filter((one) => !Number.isNaN(one.right))
    const band = (one: { low: number; high: number }): string =>
      share === null ? '' : ` (${short(one.low)} to ${short(one.high)})`
    return {
      text: `said ${told.map((one) => `${one.name} ${short(one.middle)}${band(one)}`).join(', ')}`,
      good: null,
      right: known.length
        ? `right: ${known.map((one) => short(one.right)).join(', ')} · off by ${known.map((one) => short(Math.abs(one.right - one.middle))).join(', ')}`
        : 'what is right is not known here',
    }
  }
  let came = 0
  let inside = 0
  let off = 0
  for (const output of all) {
    const right = value ? value.data[step * value.width + output.index]! : NaN
    if (Number.isNaN(right)) continue
    const { low, middle, high } = estimateAt(readout, estimate, step, output.index)
    came++
    inside += Number(low <= right && right <= high)
    off += Math.abs(right - middle)
  }
  const horizon = Math.max(...all.map((output) => output.ahead))
  const about_ = `after step ${step}, the next ${horizon}:`
  if (!came) return { text: `${about_} a forecast of what lies behind the end of the text`, good: null, right: '' }
  const held = share === null ? '' : `${inside} of ${came} that came lie within the ${share} % interval · `
  return { text: `${about_} ${held}median off by ${short(off / came)} on average (scaled)`, good: null, right: '' }
}

/** A warning where a network predicts worse than the guess that knows only how often each symbol occurs; null elsewhere. */
export function belowBaseline({ score, baseline }: Pick<Summary, 'score' | 'baseline'>): string | null {
  if (!score || baseline === null || !(score.value > baseline)) return null
  return (
    `This network predicts worse (${score.value.toFixed(3)} nats) than guessing by how often each symbol occurs ` +
    `(${baseline.toFixed(3)} nats): its weights or its symbols may have been read wrongly.`
  )
}
