// The canvas of the strips: as large as the window on them, and drawn again only when something has changed.
import { type Scene, type Visible, visibleCells, type Window } from './scene'
import { drawStrips } from './strips'

type View = Omit<Window, 'ratio'>

export class StripCanvas {
  #drawn: { canvas: HTMLCanvasElement; scene: Scene; view: Window } | null = null

  /** Draw a scene. Returns the cells in sight. */
  draw(canvas: HTMLCanvasElement, scene: Scene, { width, height, left, top }: View): Visible {
    const ratio = devicePixelRatio || 1
    const view = { width, height, left, top, ratio }
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)]
    if (canvas.width !== across || canvas.height !== down) {
      // An assigned size clears a canvas.
      ;[canvas.width, canvas.height] = [across, down]
      this.#drawn = null
    }
    // The event of a scroll follows when its frame is drawn already.
    if (!this.#shows(canvas, scene, view)) {
      const pen = canvas.getContext('2d', { alpha: false })
      if (pen) drawStrips(pen, scene, view)
      this.#drawn = { canvas, scene, view }
    }
    return visibleCells(scene, view)
  }

  #shows(canvas: HTMLCanvasElement, scene: Scene, { width, height, left, top, ratio }: Window): boolean {
    if (this.#drawn?.canvas !== canvas || this.#drawn.scene !== scene) return false
    const { view } = this.#drawn
    return (
      view.width === width && view.height === height && view.left === left && view.top === top && view.ratio === ratio
    )
  }
}
