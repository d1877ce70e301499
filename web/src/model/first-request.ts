// What is requested of a text first: the layer and the signal on the screen, and all signals of a small layer.
import { MAX_TEXT_STEPS } from '../../engine/limits'
import type { Layer, Run, Signal } from '../data/run'
import type { TraceRequest } from '../data/source'
import { mainSignal } from './main-signal'

/** Up to this many values of one signal, all signals are fetched at once, so that no hover has to wait. */
const MAX_WHOLE_VALUES = 4000
const TOP_SYMBOLS = 3
/** Few classes are all listed. */
const TOP_CLASSES = 5

/** Of a text that a text box holds; words have several characters each. */
export const MAX_BOX_CHARACTERS = 200_000

/** Return how many characters a text may have at most: those of the server, if each of them is a step. */
export const maxCharacters = ({ unit }: Pick<Run, 'unit'>): number =>
  unit === 'character' || unit === 'byte' ? MAX_TEXT_STEPS : MAX_BOX_CHARACTERS

/** Return how many predictions of each step are requested. */
export const topCount = ({ readout }: Run): number => (readout.kind === 'classes' ? TOP_CLASSES : TOP_SYMBOLS)

/** Return the layer of a name; the first one if there is none of that name. */
export function layerOf(run: Run | null, name: string | null): Layer | null {
  return run?.layers.find((layer) => layer.name === name) ?? run?.layers[0] ?? null
}

/** Return the signal of a name; the main one if the layer has none of that name. */
export function signalOf(run: Run, layer: Layer, name: string | null): Signal | null {
  return layer.signals.find((signal) => signal.name === name) ?? mainSignal(layer, run.end)
}

/** Return whether a run has weights: false for one that has only just begun. */
export function hasWeights(run: Run | null): boolean {
  return run !== null && (run.weights || run.checkpoints.length > 0 || run.step > 0)
}

/** Whether all signals of a text are fetched at once. */
export const isWhole = (layer: Layer, text: string): boolean => layer.neurons * text.length <= MAX_WHOLE_VALUES

/** Return the request of the picture of a text. */
export function pictureRequest(
  run: Run,
  layer: Layer,
  signal: Signal,
  text: string,
  checkpoint: number | null,
): TraceRequest {
  const whole = isWhole(layer, text)
  return {
    text,
    layer: layer.name,
    signals: whole ? layer.signals.map(({ name }) => name) : [signal.name],
    neurons: null,
    drives: whole,
    top: topCount(run),
    checkpoint,
  }
}
