// The explorer as a whole page.
import { mount } from 'svelte'
import { localized } from '../data/localized'
import type { Source } from '../data/source'
import '../page.css'
import App from '../pages/App.svelte'
import { Explorer } from '../state/explorer.svelte'

/**
 * Show the explorer of a source in an element of the document, and return it.
 *
 * @param opensOnlyRun whether the page of the only run takes the place of a list of one run
 */
export function mountPage(target: HTMLElement, source: Source, opensOnlyRun: boolean): Explorer {
  target.replaceChildren()
  const explorer = new Explorer(localized(source), opensOnlyRun)
  mount(App, { target, props: { explorer } })
  return explorer
}
