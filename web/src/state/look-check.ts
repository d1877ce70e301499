// Parts of a link that only one section reads: the matrix, the step and the bin on the page of health, and the drive and
// the operation of the diagram. They are checked where they are shown.
import type { Layer, Run } from '../data/run'
import type { ViewState } from '../data/view'
import { text } from '../messages/text'
import { parseBin } from '../model/distributions'
import { linkProblem } from './address'
import type { CheckedView } from './link-check'

/** Leave out of a view what the page of health does not have. */
export function checkHealth(state: ViewState, run: Run, layer: Layer): CheckedView {
  const checked = { ...state }
  const sentences: string[] = []
  const signals = layer.signals.map(({ name }) => name).join(', ')
  const layers = run.layers.map(({ name }) => name)
  const matrices = ['x', 'u', ...layer.drives.map(({ name }) => name), 'readout', ...layers]
  // A matrix of the layer above has the name of that layer before its gate.
  const isMatrix = (key: string): boolean => matrices.includes(key) || layers.includes(key.split('.')[0]!)
  if (state.matrix !== null && !isMatrix(state.matrix)) {
    sentences.push(linkProblem('matrix', matrices.join(', '), state.matrix, text('LINK_SHOWN_MATRIX')))
    checked.matrix = null
  }
  const isPlace = (at: string): boolean => /^#-?\d{1,6}$/.test(at) || run.vocabulary.includes(at)
  if (state.at !== null && !isPlace(state.at)) {
    sentences.push(linkProblem('at', text('LINK_EXPECTED_AT'), state.at, text('LINK_SHOWN_AT')))
    checked.at = null
  }
  const bin = parseBin(state.bin)
  if (state.bin !== null && !layer.signals.some(({ name }) => name === bin?.signal)) {
    sentences.push(linkProblem('bin', text('LINK_EXPECTED_BIN', { signals }), state.bin, text('LINK_SHOWN_BIN')))
    checked.bin = null
  }
  return { state: checked, sentences }
}

/** Leave out of a view what the diagram of a layer with some operations does not have. */
export function checkDiagram(state: ViewState, layer: Layer, operations: number): CheckedView {
  const checked = { ...state }
  const sentences: string[] = []
  const drives = layer.drives.map(({ name }) => name)
  if (state.sum !== null && !drives.includes(state.sum)) {
    sentences.push(linkProblem('sum', drives.join(', '), state.sum, text('LINK_SHOWN_SUM')))
    checked.sum = null
  }
  if (state.operation !== null && state.operation > operations) {
    const expected = text('LINK_EXPECTED_COUNT', { most: operations })
    sentences.push(linkProblem('operation', expected, state.operation, text('LINK_SHOWN_ALL_OPERATIONS')))
    checked.operation = null
  }
  return { state: checked, sentences }
}
