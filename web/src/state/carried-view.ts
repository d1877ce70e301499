// The view that is kept when another run is chosen: the page, the text, the layer and the signal, as far as it has them.
import type { Run, Summary } from '../data/run'
import { showsRun, type ViewState } from '../data/view'

type Described = Pick<Summary, 'unit' | 'task'>

/** Return what is kept of a view on the way to another run. A text of another kind is left out. */
export function carriedChange(
  state: ViewState,
  from: Described | null,
  to: Described & { name: string },
): Partial<ViewState> {
  const isOfSameKind = from?.unit === to.unit && (from.unit === 'character' || from.task.name === to.task.name)
  return {
    run: to.name,
    view: showsRun(state) ? state.view : 'network',
    layer: state.layer,
    signal: state.signal,
    zoom: state.zoom,
    scale: state.scale,
    as: state.as,
    panel: state.panel,
    sort: state.sort,
    write: state.write,
    temperature: state.temperature,
    seed: state.seed,
    beside: state.beside?.kind === 'run' && state.beside.name !== to.name ? state.beside : null,
    neuron: state.view === 'neuron' || state.view === 'lesson' ? (state.neuron ?? 0) : null,
    text: isOfSameKind ? state.text : null,
  }
}

/** Return the view without what a run does not have. */
export function fittingView(state: ViewState, run: Run): ViewState {
  const layer = run.layers.find(({ name }) => name === state.layer) ?? run.layers[0]
  const symbols = new Set(run.vocabulary)
  const isReadable = state.text === null || run.unit !== 'character' || [...state.text].every((c) => symbols.has(c))
  return {
    ...state,
    layer: layer?.name === state.layer ? state.layer : null,
    signal: layer?.signals.some(({ name }) => name === state.signal) ? state.signal : null,
    neurons: state.neurons.filter((neuron) => neuron < (layer?.neurons ?? 1)),
    neuron: state.neuron === null ? null : Math.min(state.neuron, (layer?.neurons ?? 1) - 1),
    text: isReadable ? state.text : null,
  }
}
