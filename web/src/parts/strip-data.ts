// The layout of the strips as attributes of their canvas, for tests and for whoever reads the page by a program.
import type { Hold } from '../data/view'
import type { Band, Geometry } from '../draw/geometry'
import type { GhostScene, Original, Row } from '../draw/scene'
import { holdText } from '../state/hold-address'

const place = ({ y, height }: Band): string | null => (height ? `${y}+${height}` : null)

/** Return the attributes of the canvas. */
export function layoutData(
  g: Geometry,
  rows: readonly Row[],
  steps: number,
  original: Original | null,
  holds: readonly Hold[],
  ghost: GhostScene | null,
): Record<`data-${string}`, string | number | null> {
  return {
    'data-cell': g.cell,
    'data-pitch': g.pitch,
    'data-label': g.label,
    'data-header': g.header,
    'data-rows': rows.length,
    'data-steps': steps,
    'data-written': ghost?.labels.length ?? 0,
    'data-branches': g.branches.map(place).join(' '),
    'data-charts': g.charts.map(place).join(' '),
    'data-heat': place(g.heat),
    'data-predicted': place(g.predicted),
    'data-target': place(g.target),
    'data-slanted': g.slanted ? '' : null,
    'data-track': g.track.height ? g.track.y : null,
    'data-chip': rows.some(({ chip }) => chip) ? (g.chip?.x ?? null) : null,
    'data-holds': holds.length ? holds.map(holdText).join(' ') : null,
    'data-below': original?.lower ?? null,
    'data-values': original ? place(g.bands.values) : null,
    'data-lower': original ? place(g.bands.lower) : null,
    'data-predictions': place(g.predictions),
    'data-original-predictions': place(g.original.predictions),
    'data-original-surprise': place(g.original.surprise),
  }
}
