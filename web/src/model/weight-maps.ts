// The weights of a layer as pictures: whole matrices, and the rows and columns of one neuron.
import type { LayerMatrices, Matrix, MatrixKind } from '../data/matrices'
import { text } from '../messages/text'
import { characterName, glyph, symbolLabels } from './characters'
import type { Grid } from './heat-map'

/** The axis of a picture: the names of its lines, and which of them are neurons of the layer. */
export interface Axis {
  /** What its lines are, in words. */
  title: string
  count: number
  /** The short print of a line beside the picture. */
  short: (line: number) => string
  /** The line in a sentence. */
  name: (line: number) => string
  /** Whether the lines are the neurons of the layer, which have an order and a page. */
  neurons: boolean
}

export interface WeightMap {
  key: string
  /** The key of all matrices of its kind: x, u, readout, or the layer above. */
  group: string
  title: string
  grid: Grid
  rows: Axis
  columns: Axis
}

const plain = (title: string, names: readonly string[]): Axis => ({
  title,
  count: names.length,
  short: (line) => names[line] ?? '',
  name: (line) => names[line] ?? '',
  neurons: false,
})

export const neuronAxis = (title: string, count: number): Axis => ({
  title,
  count,
  short: String,
  name: (line) => text('WEIGHTS_NEURON', { neuron: line }),
  neurons: true,
})

function symbolAxis(title: string, names: string[]): Axis {
  const labels = symbolLabels(names)
  return {
    ...plain(title, labels),
    short: (line) => glyph(labels[line] ?? '').text,
    name: (line) => characterName(labels[line] ?? ''),
  }
}

/** Return the axis of what a layer reads. */
export function inputAxis({ reads, inputs, embedded }: LayerMatrices): Axis {
  if (reads === 'symbols')
    return symbolAxis(embedded ? text('WEIGHTS_SYMBOLS_EMBEDDED') : text('WEIGHTS_SYMBOLS'), inputs)
  if (reads === 'numbers') return plain(text('WEIGHTS_NUMBERS'), inputs)
  return {
    ...plain(text('WEIGHTS_BELOW'), inputs),
    name: (line) => text('WEIGHTS_NEURON_BELOW', { neuron: inputs[line] ?? '' }),
  }
}

/** Return the axis of what reads the hidden states of a layer: symbols, classes, numbers or hidden units. */
function outputAxis({ hidden, outputs }: LayerMatrices, isOfSymbols: boolean): Axis {
  if (hidden) return plain(text('WEIGHTS_UNITS'), outputs)
  return isOfSymbols ? symbolAxis(text('WEIGHTS_PREDICTED'), outputs) : plain(text('WEIGHTS_PREDICTED'), outputs)
}

/** Return the name of a matrix: "u.i: recurrent weights of the input gate". */
function titleOf({ kind, gate, above }: Matrix, gateTitle: (gate: string) => string): string {
  const values = { gate, title: gateTitle(gate), layer: above ?? '' }
  if (kind === 'input') return text('WEIGHTS_TITLE_INPUT', values)
  if (kind === 'recurrent') return text('WEIGHTS_TITLE_RECURRENT', values)
  return kind === 'readout' ? text('WEIGHTS_TITLE_READOUT') : text('WEIGHTS_TITLE_ABOVE', values)
}

const KINDS: readonly MatrixKind[] = ['input', 'recurrent', 'above', 'readout']

/** Return the key of the matrices of one kind in an address: "u", "x", "readout", "layer1". */
const groupKey = ({ kind, above }: Pick<Matrix, 'kind' | 'above'>): string =>
  ({ input: 'x', recurrent: 'u', readout: 'readout', above: above ?? '' })[kind]

/** Return the key of a matrix in an address: "u.i", "x.i", "readout", "layer1.i". */
export const matrixKey = (matrix: Pick<Matrix, 'kind' | 'above' | 'gate'>): string =>
  matrix.kind === 'readout' ? 'readout' : `${groupKey(matrix)}.${matrix.gate}`

/** Return the title of all matrices of a kind. */
export function groupTitle(group: string): string {
  if (group === 'x') return text('WEIGHTS_ALL_INPUT')
  if (group === 'u') return text('WEIGHTS_ALL_RECURRENT')
  return group === 'readout' ? text('WEIGHTS_TITLE_READOUT') : text('WEIGHTS_ALL_ABOVE', { layer: group })
}

/** Return the pictures of a key; those of the recurrent weights, or else the first ones, without such a key. */
export function chosenMaps(maps: readonly WeightMap[], key: string | null): WeightMap[] {
  const chosen = maps.filter((map) => map.key === key || map.group === key)
  if (chosen.length) return chosen
  const group = maps.some((map) => map.group === 'u') ? 'u' : maps[0]?.group
  return maps.filter((map) => map.group === group)
}

/** Return every matrix of a layer as a picture, with neurons of the layer down or across. */
export function wholeMaps(
  layer: LayerMatrices,
  isOfSymbols: boolean,
  gateTitle: (gate: string) => string,
): WeightMap[] {
  return sorted(layer.matrices).map((matrix) => {
    const own = neuronAxis(text('WEIGHTS_NEURONS'), matrix.kind === 'input' ? matrix.rows : matrix.columns)
    const others = lineAxis(layer, matrix, isOfSymbols)
    return {
      key: matrixKey(matrix),
      group: groupKey(matrix),
      title: titleOf(matrix, gateTitle),
      grid: matrix,
      rows: matrix.kind === 'input' || matrix.kind === 'recurrent' ? own : others,
      columns: matrix.kind === 'input' ? others : { ...own, title: text('WEIGHTS_SOURCES') },
    }
  })
}

/** Return the axis of a matrix that is not its neurons. */
function lineAxis(layer: LayerMatrices, { kind, rows }: Matrix, isOfSymbols: boolean): Axis {
  if (kind === 'input') return inputAxis(layer)
  if (kind === 'readout') return outputAxis(layer, isOfSymbols)
  if (kind === 'recurrent') return neuronAxis(text('WEIGHTS_NEURONS'), rows)
  return { ...neuronAxis(text('WEIGHTS_ABOVE'), rows), neurons: false }
}

const sorted = (matrices: readonly Matrix[]): Matrix[] =>
  [...matrices].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind))

/** The weights into or out of a neuron: a row for each drive. */
export interface NeuronMap extends WeightMap {
  /** Whether the weights lead to the neuron. */
  incoming: boolean
  gates: string[]
}

/** Return the weights of one neuron: what it reads from inputs and neurons, and what reads it. */
export function neuronMaps(layer: LayerMatrices, neuron: number, isOfSymbols: boolean): NeuronMap[] {
  const maps: NeuronMap[] = []
  const add = (kind: MatrixKind, incoming: boolean, title: string, above: string | null = null): void => {
    const matrices = layer.matrices.filter((matrix) => matrix.kind === kind && matrix.above === above)
    const first = matrices[0]
    if (!first) return
    const across = incoming
      ? kind === 'input'
        ? inputAxis(layer)
        : neuronAxis(text('WEIGHTS_SOURCES'), first.columns)
      : { ...lineAxis(layer, first, isOfSymbols), ...(kind === 'recurrent' ? { title: text('WEIGHTS_TARGETS') } : {}) }
    const values = Float32Array.from(
      matrices.flatMap((matrix) =>
        Array.from({ length: across.count }, (_, k) => weightOf(matrix, neuron, k, incoming)),
      ),
    )
    const gates = matrices.map(({ gate }) => gate)
    maps.push({
      key: `${incoming ? 'in' : 'out'}.${above ?? kind}`,
      group: groupKey({ kind, above }),
      title,
      grid: { rows: matrices.length, columns: across.count, values },
      rows: plain(
        text('WEIGHTS_DRIVES'),
        gates.map((gate) => gateName(kind, gate)),
      ),
      columns: across,
      incoming,
      gates,
    })
  }
  add('input', true, text('WEIGHTS_FROM_INPUTS'))
  add('recurrent', true, text('WEIGHTS_FROM_NEURONS'))
  add('recurrent', false, text('WEIGHTS_TO_NEURONS'))
  for (const above of new Set(layer.matrices.flatMap((matrix) => matrix.above ?? [])))
    add('above', false, text('WEIGHTS_TO_LAYER', { layer: above }), above)
  add('readout', false, layer.hidden ? text('WEIGHTS_TO_UNITS') : text('WEIGHTS_TO_READOUT'))
  return maps
}

const gateName = (kind: MatrixKind, gate: string): string =>
  kind === 'recurrent' ? `u.${gate}` : kind === 'readout' ? '' : `x.${gate}`

const weightOf = ({ columns, values }: Matrix, neuron: number, other: number, incoming: boolean): number =>
  incoming ? values[neuron * columns + other]! : values[other * columns + neuron]!
