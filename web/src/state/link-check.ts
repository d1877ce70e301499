// What a link names that this run or this text does not have: a sentence for each, and the view without it.
import type { Layer, Run } from '../data/run'
import { START, type ViewState } from '../data/view'
import { wrong } from './address'

export interface Mended {
  state: ViewState
  /** For each part that was not there: what was expected, what the link says, and what is shown instead. */
  sentences: string[]
}

const span = (count: number): string => (count === 1 ? '0, the only one' : `0 to ${count - 1}`)

/** The view as far as the run has it: its layers, signals, neurons, drives and checkpoints. */
export function fitRun(state: ViewState, run: Run): Mended {
  const sentences: string[] = []
  const mended = { ...state }
  if (state.view === 'runs') return { state, sentences }
  const names = run.layers.map((layer) => layer.name)
  if (state.layer !== null && !names.includes(state.layer)) {
    sentences.push(wrong('layer', names.join(', '), state.layer, `${names[0]} is shown.`))
    mended.layer = null
  }
  const layer = run.layers.find((one) => one.name === mended.layer) ?? run.layers[0]!
  const signals = layer.signals.map((signal) => signal.name)
  if (state.signal !== null && !signals.includes(state.signal)) {
    sentences.push(
      wrong('signal', `one of ${layer.name}: ${signals.join(', ')}`, state.signal, 'The usual one is shown.'),
    )
    mended.signal = null
  }
  fitNeurons(mended, state.view === 'lesson' ? run.layers.at(-1)! : layer, sentences)
  const drives = (run.layers.at(-1)?.drives ?? []).filter(({ name }) => name.startsWith('u.'))
  const known = drives.map(({ name }) => name.slice(2))
  if (state.drive !== null && !known.includes(state.drive)) {
    sentences.push(wrong('drive', known.join(', ') || 'none', state.drive, 'Another one is shown.'))
    mended.drive = null
  }
  if (state.checkpoint !== null && !run.checkpoints.includes(state.checkpoint)) {
    const kept = run.checkpoints.length ? `one of ${run.checkpoints.join(', ')}` : 'none, the run has no checkpoints'
    sentences.push(wrong('checkpoint', kept, state.checkpoint, 'The best weights are shown.'))
    mended.checkpoint = null
  }
  return { state: mended, sentences }
}

function fitNeurons(state: ViewState, layer: Layer, sentences: string[]): void {
  const expected = `${span(layer.neurons)} of ${layer.name}`
  if (state.neuron !== null && state.neuron >= layer.neurons) {
    const needed = state.view !== 'network' && state.view !== 'health'
    sentences.push(wrong('neuron', expected, state.neuron, needed ? 'Neuron 0 is shown.' : 'No neuron is chosen.'))
    state.neuron = state.view === 'neuron' ? 0 : null
  }
  if (state.source !== null && state.source >= layer.neurons) {
    sentences.push(wrong('source', expected, state.source, 'Neuron 0 is shown.'))
    state.source = null
  }
}

/** The view as far as a text of so many steps has it. */
export function fitText(state: ViewState, steps: number): Mended {
  const sentences: string[] = []
  const mended = { ...state }
  const expected = steps ? `${span(steps)}, the steps of this text` : 'none, this text has no steps'
  if (state.step !== null && state.step >= steps) {
    sentences.push(wrong('step', expected, state.step, 'No step is chosen.'))
    mended.step = START.step
  }
  for (const name of ['range', 'pair'] as const) {
    const asked = state[name]
    if (!asked || asked.last < steps) continue
    const shown = name === 'range' ? 'No characters are chosen.' : 'No pair of steps is chosen.'
    sentences.push(wrong(name, expected, `${asked.first}-${asked.last}`, shown))
    mended[name] = null
  }
  return { state: mended, sentences }
}
