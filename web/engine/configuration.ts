// The configuration of a network: everything but its weights, read from network.json (formats 1 to 3).
import { type Cell, readCell } from './cell'
import { EngineError, shown } from './errors'
import { ACTIVATIONS } from './head'
import { readVocabulary, type Vocabulary } from './vocabulary'

export interface Layer {
  cell: Cell
  neurons: number
  reverse: boolean
  /** Whether the weights hold the states before the first step; otherwise these are 0. */
  initial: boolean
  /** Whether a reverse layer reads the layer below, not the inputs of the forward layer before it. */
  stacked: boolean
}

export interface Readout {
  kind: 'symbols' | 'classes' | 'numbers'
  names: string[]
  quantiles: number[]
  reads: 'every step' | 'last step'
}

export interface HiddenLayer {
  neurons: number
  activation: string
}

export interface Configuration {
  vocabulary: Vocabulary
  layers: Layer[]
  embedding: number | null
  readout: Readout
  hidden: HiddenLayer[]
  /** The names of the layers: "layer0", "layer0_reverse", "layer1", ... */
  names: string[]
  /** The positions of the layers that read the same inputs: one, or two that read in both directions. */
  levels: number[][]
  /** The number of inputs of each layer, and as the last entry of the readout or its first hidden layer. */
  inputs: number[]
  /** The number of predicted values. */
  predicted: number
  /** Whether any layer reads from the end. */
  bothWays: boolean
}

const FORMAT = 3
const MAX_SIZE = 1 << 24
const MAX_LAYERS = 1000

type Json = Record<string, unknown>

const damaged = (part: string): EngineError => new EngineError('NETWORK_DAMAGED', { part })

function object(value: unknown, part: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(part)
  return value as Json
}

function list(value: unknown, part: string): unknown[] {
  if (!Array.isArray(value) || value.length > MAX_SIZE) throw damaged(part)
  return value
}

function size(value: unknown, part: string): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > MAX_SIZE) throw damaged(part)
  return value as number
}

function texts(value: unknown, part: string): string[] {
  const values = list(value, part)
  if (!values.every((entry) => typeof entry === 'string')) throw damaged(part)
  return values as string[]
}

/** Return the configuration in the parsed network.json. Throws an EngineError if it does not describe a network. */
export function readConfiguration(json: unknown): Configuration {
  const data = object(json, 'network')
  const format = data['format']
  if (!Number.isInteger(format) || (format as number) < 1) throw damaged('format')
  if ((format as number) > FORMAT)
    throw new EngineError('NETWORK_FORMAT_NEWER', { format: format as number, supported: FORMAT })
  const cells = new Map(Object.entries(object(data['cells'], 'cells')).map(([name, cell]) => [name, readCell(cell)]))
  const layers = list(data['layers'], 'layers').map((layer) => readLayer(object(layer, 'layers'), cells))
  if (!layers.length || layers.length > MAX_LAYERS) throw damaged('layers')
  const vocabulary = readVocabulary(data['vocabulary'])
  const embedding = data['embedding'] === null ? null : size(data['embedding'], 'embedding')
  if (embedding !== null && vocabulary.unit === 'number') throw damaged('embedding')
  const readout = format === 1 ? readoutOfFormat1(data) : readReadout(object(data['readout'], 'readout'))
  if (readout.kind === 'symbols' && vocabulary.unit === 'number') throw damaged('readout')
  const hidden = (format as number) > 2 ? list(data['hidden'], 'hidden').map(readHidden) : []
  const levels = levelsOf(layers)
  const values = readout.names.length * Math.max(1, readout.quantiles.length)
  return {
    vocabulary,
    layers,
    embedding,
    readout,
    hidden,
    levels,
    names: levels.flatMap((level, k) => level.map((j) => `layer${k}${layers[j]!.reverse ? '_reverse' : ''}`)),
    inputs: inputsOf(layers, levels, embedding ?? vocabulary.size),
    predicted: values || vocabulary.size,
    bothWays: layers.some((layer) => layer.reverse),
  }
}

function readLayer(layer: Json, cells: ReadonlyMap<string, Cell>): Layer {
  const cell = typeof layer['cell'] === 'string' ? cells.get(layer['cell']) : undefined
  if (!cell) throw damaged('layers')
  const flag = (name: string): boolean => {
    const value = layer[name] ?? false
    if (typeof value !== 'boolean') throw damaged('layers')
    return value
  }
  return {
    cell,
    neurons: size(layer['neurons'], 'layers'),
    reverse: flag('reverse'),
    initial: flag('initial'),
    stacked: flag('stacked'),
  }
}

function levelsOf(layers: readonly Layer[]): number[][] {
  const levels: number[][] = []
  for (const [k, layer] of layers.entries()) {
    if (layer.stacked && !layer.reverse) throw damaged('layers')
    if (!layer.reverse || layer.stacked) levels.push([k])
    else if (k === 0 || layers[k - 1]!.reverse) throw damaged('layers')
    else levels.at(-1)!.push(k)
  }
  return levels
}

function inputsOf(layers: readonly Layer[], levels: readonly number[][], first: number): number[] {
  const sizes: number[] = []
  let inputs = first
  for (const level of levels) {
    sizes.push(...level.map(() => inputs))
    inputs = level.reduce((sum, k) => sum + layers[k]!.neurons, 0)
  }
  return [...sizes, inputs]
}

function readReadout(data: Json): Readout {
  const { kind, reads } = data
  const [names, quantiles] = [texts(data['names'], 'readout'), list(data['quantiles'], 'readout')]
  const rising = quantiles.every(
    (level, k) => typeof level === 'number' && level > (k ? (quantiles[k - 1] as number) : 0) && level < 1,
  )
  const valid =
    (kind === 'symbols' ? !names.length : (kind === 'classes' || kind === 'numbers') && names.length > 0) &&
    (reads === 'every step' || reads === 'last step') &&
    new Set(names).size === names.length &&
    rising &&
    (!quantiles.length || kind === 'numbers')
  if (!valid) throw new EngineError('READOUT_INVALID', { readout: shown(data) })
  return { kind: kind as Readout['kind'], names, quantiles: quantiles as number[], reads: reads as Readout['reads'] }
}

/** Version 0.1 wrote a number of classes without names, or null for symbols. */
function readoutOfFormat1(data: Json): Readout {
  const count = data['outputs'] === null ? 0 : size(data['outputs'], 'outputs')
  const names = Array.from({ length: count }, (_, k) => String(k))
  return readReadout({ kind: count ? 'classes' : 'symbols', names, quantiles: [], reads: data['reads'] })
}

function readHidden(value: unknown): HiddenLayer {
  const data = object(value, 'hidden')
  const activation = data['activation']
  if (typeof activation !== 'string' || !ACTIVATIONS.has(activation)) throw damaged('hidden')
  return { neurons: size(data['neurons'], 'hidden'), activation }
}

/** Return the name and shape of every weight of a network. */
export function expectedTensors(configuration: Configuration): Map<string, number[]> {
  const { vocabulary, layers, embedding, inputs, hidden, predicted } = configuration
  const shapes = new Map<string, number[]>()
  if (embedding !== null) shapes.set('embedding', [vocabulary.size, embedding])
  for (const [k, { cell, neurons, initial }] of layers.entries()) {
    shapes.set(`layers.${k}.input_weights`, [cell.inputDrives.length, neurons, inputs[k]!])
    shapes.set(`layers.${k}.biases`, [cell.inputDrives.length, neurons])
    shapes.set(`layers.${k}.recurrent_weights`, [cell.recurrentDrives.length, neurons, neurons])
    shapes.set(`layers.${k}.neuron_weights`, [cell.parameters.length, neurons])
    for (const state of initial ? cell.states : []) shapes.set(`initial.${k}.${state}`, [neurons])
  }
  let width = inputs.at(-1)!
  for (const [k, { neurons }] of hidden.entries()) {
    shapes.set(`hidden.${k}.weights`, [neurons, width])
    shapes.set(`hidden.${k}.biases`, [neurons])
    width = neurons
  }
  shapes.set('readout_weights', [predicted, width])
  shapes.set('readout_biases', [predicted])
  return shapes
}
