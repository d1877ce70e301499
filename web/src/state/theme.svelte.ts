// The theme: light or dark, following the system.
import { DARK, LIGHT, type Theme } from '../draw/palette'

class Current {
  now = $state.raw<Theme>(LIGHT)

  constructor() {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const set = (): void => void (this.now = dark.matches ? DARK : LIGHT)
    dark.addEventListener('change', set)
    set()
  }
}

export const theme = new Current()
