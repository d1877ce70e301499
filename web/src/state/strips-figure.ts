// The strips as a figure that can be shared.
import type { Range } from '../data/view'
import type { Scene, Window } from '../draw/scene'
import { type Scope, stripsPart } from '../draw/strips-part'
import type { Picture } from '../model/picture'
import { commonScale } from '../model/scale'
import { stepColumn, stepColumns } from '../model/share-columns'
import type { SharedFigure } from './figures.svelte'

/**
 * Return the strips as a figure.
 *
 * @param full the size of all strips
 * @param view returns the window in which they are scrolled
 * @param lines returns the lines of Python that give the values of some steps; without it, the rows are neurons
 */
export function stripsFigure(
  scene: Scene,
  name: string,
  picture: Picture,
  full: { width: number; height: number },
  view: () => Window,
  lines?: (steps: Range) => string | null,
): SharedFigure {
  const { rows, range } = scene
  const part = (scope: Scope) => stripsPart(scene, view(), full, scope)
  /** The neuron of each row, if the rows are neurons of one signal. */
  const neurons = rows.map(({ column }) => Number(column?.split('.').at(-1)))
  const isOneSignal = new Set(rows.map(({ column }) => column?.split('.')[1])).size === 1
  return {
    id: 'strips',
    name,
    ...(lines ? { lines: (scope: Scope) => lines(part(scope).steps) } : {}),
    scopes: range ? ['sight', 'range', 'all'] : ['sight', 'all'],
    part: (scope) => (rows.length && scene.labels.length ? part(scope) : null),
    columns: (scope) => {
      const { steps, rows: shown } = part(scope)
      const values = rows.slice(shown.first, shown.end).flatMap(({ column, label, values, original }) => [
        stepColumn(column ?? label, steps, (t) => values[t]!),
        // While signals are held, the values without the holds.
        ...(original ? [stepColumn(`${column ?? label}.original`, steps, (t) => original[t]!)] : []),
      ])
      return [...stepColumns(picture.run, picture.trace, steps), ...values]
    },
    // Strips of several signals have a printed scale beside each curve, and neurons with scales of their own beside each.
    scale: isOneSignal ? commonScale(rows) : null,
    // The rows of a film are no part of one trace.
    shown: !rows.some(({ column }) => column)
      ? null
      : (scope) => {
          const { steps, rows: visible } = part(scope)
          const chosen = neurons.slice(visible.first, visible.end)
          const isEvery = chosen.length === picture.layer.neurons && chosen.every((neuron, k) => neuron === k)
          return { steps, neurons: isEvery ? null : [...new Set(chosen)] }
        },
  }
}
