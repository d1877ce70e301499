// Parts of a link that this run or this text does not have: a sentence for each, and the view without them.
import type { Layer, Run } from '../data/run'
import { type Branch, type Hold, showsRun, START, type ViewState } from '../data/view'
import { text } from '../messages/text'
import { symbolLabels } from '../model/characters'
import { linkProblem } from './address'
import { branchText } from './branch-address'
import { holdText, setText } from './hold-address'
import { besideText } from './beside-address'
import { DEFAULT_LENGTH } from './writing-settings'

export interface CheckedView {
  state: ViewState
  /** One for each part that was left out: what was expected, what the link has, and what is shown instead. */
  sentences: string[]
}

const spanText = (count: number): string =>
  count === 1 ? text('LINK_EXPECTED_ONLY_ZERO') : text('LINK_EXPECTED_SPAN', { last: count - 1 })

/** Leave out of a view what a run does not have: layers, signals, neurons, drives and checkpoints. */
export function checkRun(state: ViewState, run: Run): CheckedView {
  const sentences: string[] = []
  const checked = { ...state }
  if (!showsRun(state)) return { state, sentences }
  const layers = run.layers.map(({ name }) => name)
  if (state.layer !== null && !layers.includes(state.layer)) {
    const shown = text('LINK_SHOWN_LAYER', { layer: layers[0]! })
    sentences.push(linkProblem('layer', layers.join(text('LIST_NAMES')), state.layer, shown))
    checked.layer = null
  }
  const layer = run.layers.find(({ name }) => name === checked.layer) ?? run.layers[0]!
  const signals = layer.signals.map(({ name }) => name)
  if (state.signal !== null && !signals.includes(state.signal)) {
    const expected = text('LINK_EXPECTED_SIGNAL', { layer: layer.name, signals: signals.join(text('LIST_NAMES')) })
    sentences.push(linkProblem('signal', expected, state.signal, text('LINK_SHOWN_SIGNAL')))
    checked.signal = null
  }
  checkNeurons(checked, state.view === 'lesson' ? run.layers.at(-1)! : layer, sentences)
  const recurrentDrives = (run.layers.at(-1)?.drives ?? []).filter(({ name }) => name.startsWith('u.'))
  const drives = recurrentDrives.map(({ name }) => name.slice(2))
  if (state.drive !== null && !drives.includes(state.drive)) {
    const expected = drives.join(text('LIST_NAMES')) || text('LINK_EXPECTED_NONE')
    sentences.push(linkProblem('drive', expected, state.drive, text('LINK_SHOWN_DRIVE')))
    checked.drive = null
  }
  if (state.checkpoint !== null && !run.checkpoints.includes(state.checkpoint)) {
    const expected = run.checkpoints.length
      ? text('LINK_EXPECTED_CHECKPOINT', { steps: run.checkpoints.join(text('LIST_NAMES')) })
      : text('LINK_EXPECTED_NO_CHECKPOINT')
    sentences.push(linkProblem('checkpoint', expected, state.checkpoint, text('LINK_SHOWN_BEST_WEIGHTS')))
    checked.checkpoint = null
  }
  const expectedHeld = text('LINK_EXPECTED_HELD', { layers: layers.join(text('LIST_NAMES')) })
  const { beside } = state
  if (beside?.kind === 'checkpoint' && beside.step !== null && !run.checkpoints.includes(beside.step)) {
    const expected = run.checkpoints.length
      ? text('LINK_EXPECTED_CHECKPOINT', { steps: run.checkpoints.join(text('LIST_NAMES')) })
      : text('LINK_EXPECTED_NO_CHECKPOINT')
    sentences.push(linkProblem('with', expected, besideText(beside), text('LINK_SHOWN_ALONE')))
    checked.beside = null
  }
  checked.holds = state.holds.filter((hold) => {
    const isThere = hasHeld(run, hold)
    if (!isThere) sentences.push(linkProblem('hold', expectedHeld, holdText(hold), text('LINK_SHOWN_NO_HOLD')))
    return isThere
  })
  checked.branches = state.branches.filter((branch) => {
    const isThere = run.readout.kind === 'symbols' && symbolLabels(run.vocabulary).includes(branch.symbol)
    if (!isThere) sentences.push(branchProblem(branch))
    return isThere
  })
  checked.sets = state.sets.filter((set) => {
    const isThere = set.holds.every((hold) => hasHeld(run, hold))
    if (!isThere) sentences.push(linkProblem('sets', expectedHeld, setText(set), text('LINK_SHOWN_NO_SET')))
    return isThere
  })
  if (state.against !== null && !checked.sets.some(({ name }) => name === state.against)) {
    const expected = checked.sets.map(({ name }) => name).join(text('LIST_NAMES')) || text('LINK_EXPECTED_NONE')
    sentences.push(linkProblem('against', expected, state.against, text('LINK_SHOWN_NO_AGAINST')))
    checked.against = null
  }
  return { state: checked, sentences }
}

const branchProblem = (branch: Branch): string =>
  linkProblem('branch', text('LINK_EXPECTED_BRANCH_SYMBOL'), branchText(branch), text('LINK_SHOWN_NO_BRANCH'))

/** Whether a run has the signal that a hold holds. */
export function hasHeld(run: Run, hold: Hold): boolean {
  const held = run.layers.find(({ name }) => name === hold.layer)
  return held !== undefined && hold.neuron < held.neurons && held.signals.some(({ name }) => name === hold.signal)
}

function checkNeurons(state: ViewState, layer: Layer, sentences: string[]): void {
  const expected = text('LINK_EXPECTED_NEURON', { span: spanText(layer.neurons), layer: layer.name })
  if (state.neuron !== null && state.neuron >= layer.neurons) {
    const needed = state.view !== 'network' && state.view !== 'health'
    const shown = needed ? text('LINK_SHOWN_NEURON') : text('LINK_SHOWN_NO_NEURON')
    sentences.push(linkProblem('neuron', expected, state.neuron, shown))
    state.neuron = state.view === 'neuron' ? 0 : null
  }
  const neurons = state.neurons.filter((neuron) => neuron < layer.neurons)
  if (neurons.length < state.neurons.length) {
    sentences.push(linkProblem('neurons', expected, state.neurons.join(','), text('LINK_SHOWN_NO_NEURONS')))
    state.neurons = neurons
  }
  if (state.space?.some((neuron) => neuron >= layer.neurons)) {
    sentences.push(linkProblem('space', expected, state.space.join(','), text('LINK_SHOWN_COMPONENTS')))
    state.space = null
  }
  if (state.source !== null && state.source >= layer.neurons) {
    sentences.push(linkProblem('source', expected, state.source, text('LINK_SHOWN_NEURON')))
    state.source = null
  }
}

/** Leave out of a view what a text of some steps does not have: the step, the range and the pair. */
export function checkText(state: ViewState, steps: number): CheckedView {
  const sentences: string[] = []
  const checked = { ...state }
  const expected = steps ? text('LINK_EXPECTED_STEP', { span: spanText(steps) }) : text('LINK_EXPECTED_NO_STEP')
  if (state.step !== null && state.step >= steps) {
    sentences.push(linkProblem('step', expected, state.step, text('LINK_SHOWN_NO_STEP')))
    checked.step = START.step
  }
  for (const name of ['range', 'pair'] as const) {
    const range = state[name]
    if (!range || range.last < steps) continue
    const shown = name === 'range' ? text('LINK_SHOWN_NO_RANGE') : text('LINK_SHOWN_NO_PAIR')
    sentences.push(linkProblem(name, expected, `${range.first}-${range.last}`, shown))
    checked[name] = null
  }
  // A branch may begin in what the network writes behind the text.
  const most = steps + (state.write ?? DEFAULT_LENGTH)
  checked.branches = state.branches.filter((branch) => {
    if (branch.step >= most) sentences.push(branchProblem(branch))
    return branch.step < most
  })
  return { state: checked, sentences }
}
