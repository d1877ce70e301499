// What a link names that this run or this text does not have: a sentence for each, and the view without it.
import type { Layer, Run } from '../data/run'
import { START, type ViewState } from '../data/view'
import { linkProblem } from './address'

export interface CheckedView {
  state: ViewState
  /** For each part that was not there: what was expected, what the link says, and what is shown instead. */
  sentences: string[]
}

const spanText = (count: number): string => (count === 1 ? '0, the only one' : `0 to ${count - 1}`)

/** The view as far as the run has it: its layers, signals, neurons, drives and checkpoints. */
export function checkRun(state: ViewState, run: Run): CheckedView {
  const sentences: string[] = []
  const checked = { ...state }
  if (state.view === 'runs') return { state, sentences }
  const names = run.layers.map((layer) => layer.name)
  if (state.layer !== null && !names.includes(state.layer)) {
    sentences.push(linkProblem('layer', names.join(', '), state.layer, `${names[0]} is shown.`))
    checked.layer = null
  }
  const layer = run.layers.find((one) => one.name === checked.layer) ?? run.layers[0]!
  const signals = layer.signals.map((signal) => signal.name)
  if (state.signal !== null && !signals.includes(state.signal)) {
    sentences.push(
      linkProblem('signal', `one of ${layer.name}: ${signals.join(', ')}`, state.signal, 'The usual one is shown.'),
    )
    checked.signal = null
  }
  checkNeurons(checked, state.view === 'lesson' ? run.layers.at(-1)! : layer, sentences)
  const drives = (run.layers.at(-1)?.drives ?? []).filter(({ name }) => name.startsWith('u.'))
  const known = drives.map(({ name }) => name.slice(2))
  if (state.drive !== null && !known.includes(state.drive)) {
    sentences.push(linkProblem('drive', known.join(', ') || 'none', state.drive, 'Another one is shown.'))
    checked.drive = null
  }
  if (state.checkpoint !== null && !run.checkpoints.includes(state.checkpoint)) {
    const expected = run.checkpoints.length
      ? `one of ${run.checkpoints.join(', ')}`
      : 'none, the run has no checkpoints'
    sentences.push(linkProblem('checkpoint', expected, state.checkpoint, 'The best weights are shown.'))
    checked.checkpoint = null
  }
  return { state: checked, sentences }
}

function checkNeurons(state: ViewState, layer: Layer, sentences: string[]): void {
  const expected = `${spanText(layer.neurons)} of ${layer.name}`
  if (state.neuron !== null && state.neuron >= layer.neurons) {
    const needed = state.view !== 'network' && state.view !== 'health'
    sentences.push(
      linkProblem('neuron', expected, state.neuron, needed ? 'Neuron 0 is shown.' : 'No neuron is chosen.'),
    )
    state.neuron = state.view === 'neuron' ? 0 : null
  }
  if (state.source !== null && state.source >= layer.neurons) {
    sentences.push(linkProblem('source', expected, state.source, 'Neuron 0 is shown.'))
    state.source = null
  }
}

/** The view as far as a text of so many steps has it. */
export function checkText(state: ViewState, steps: number): CheckedView {
  const sentences: string[] = []
  const checked = { ...state }
  const expected = steps ? `${spanText(steps)}, the steps of this text` : 'none, this text has no steps'
  if (state.step !== null && state.step >= steps) {
    sentences.push(linkProblem('step', expected, state.step, 'No step is chosen.'))
    checked.step = START.step
  }
  for (const name of ['range', 'pair'] as const) {
    const range = state[name]
    if (!range || range.last < steps) continue
    const shown = name === 'range' ? 'No characters are chosen.' : 'No pair of steps is chosen.'
    sentences.push(linkProblem(name, expected, `${range.first}-${range.last}`, shown))
    checked[name] = null
  }
  return { state: checked, sentences }
}
