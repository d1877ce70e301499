// The theme: light or dark, as chosen or as the system has it, and the palette of the strips.
import { DARK, LIGHT, lightnessSigned, type Theme } from '../draw/palette'
import { remember, remembered } from '../messages/remembered'

export const SCHEMES = ['system', 'light', 'dark'] as const
export type Scheme = (typeof SCHEMES)[number]

/** `hue`: red and blue on paper. `lightness`: the sign is a lightness, so that it survives a grey print. */
export const PALETTES = ['hue', 'lightness'] as const
export type PaletteName = (typeof PALETTES)[number]

const SCHEME_KEY = 'gatescope.scheme'
const PALETTE_KEY = 'gatescope.palette'

/** Return the remembered choice; the first one if there is none. */
function chosen<T extends string>(key: string, choices: readonly [T, ...T[]]): T {
  const value = remembered(key)
  return choices.find((choice) => choice === value) ?? choices[0]
}

class Appearance {
  scheme = $state<Scheme>(chosen(SCHEME_KEY, SCHEMES))
  palette = $state<PaletteName>(chosen(PALETTE_KEY, PALETTES))
  readonly #media = $state({ system: false, forced: false, printing: false })

  now = $derived.by<Theme>(() => {
    const { system, forced, printing } = this.#media
    const dark = !printing && (this.scheme === 'system' ? system : this.scheme === 'dark')
    const theme = dark ? DARK : LIGHT
    return this.palette === 'lightness' || forced || printing ? lightnessSigned(theme) : theme
  })

  constructor() {
    const follow = (query: string, set: (matches: boolean) => void): void => {
      const media = matchMedia(query)
      media.addEventListener('change', () => set(media.matches))
      set(media.matches)
    }
    follow('(prefers-color-scheme: dark)', (matches) => (this.#media.system = matches))
    follow('(forced-colors: active)', (matches) => (this.#media.forced = matches))
    // A canvas is printed as it was drawn, so it is drawn again before a print.
    follow('print', (matches) => (this.#media.printing = matches))
    this.#mark()
  }

  /** Choose light, dark, or what the system has. */
  chooseScheme(scheme: Scheme): void {
    this.scheme = scheme
    remember(SCHEME_KEY, scheme)
    this.#mark()
  }

  /** Choose the palette of the strips. */
  choosePalette(palette: PaletteName): void {
    this.palette = palette
    remember(PALETTE_KEY, palette)
    this.#mark()
  }

  /** Tell page.css what was chosen. */
  #mark(): void {
    const { dataset } = document.documentElement
    if (this.scheme === 'system') delete dataset.scheme
    else dataset.scheme = this.scheme
    dataset.palette = this.palette
  }
}

export const theme = new Appearance()
