// Open pages in a browser, and write what is seen there as JSON. Arguments: the browser, then JSON:
// [{url, width, picture}], where `picture` is a PNG to write with every fold closed, or null.
import { createRequire } from 'node:module'

const { chromium } = createRequire(`${process.env.NODE_PATH}/`)('playwright-core')
const [program, wanted] = process.argv.slice(2)
const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu', '--disable-lcd-text'] })
const seen = []
for (const { url, width, picture } of JSON.parse(wanted)) {
  const page = await browser.newPage({ viewport: { width, height: 800 }, deviceScaleFactor: 1 })
  await page.goto(url)
  if (picture) await page.locator('article').screenshot({ path: picture })
  const folds = []
  for (const fold of await page.locator('details').all()) {
    const inside = fold.locator('table').first()
    const closed = await inside.isVisible()
    await fold.locator('summary').click()
    folds.push({ title: await fold.locator('summary').innerText(), closed, opened: await inside.isVisible() })
  }
  seen.push(await page.evaluate((folds) => ({
    folds,
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    outside: [...document.querySelectorAll('article > *')]
      .filter((each) => each.getBoundingClientRect().right > window.innerWidth)
      .map((each) => each.outerHTML.slice(0, 200)),
    headings: [...document.querySelectorAll('h3')].map((each) => each.innerText),
    links: [...document.querySelectorAll('a')].map((each) => [each.innerText, each.href]),
    tables: [...document.querySelectorAll('table')].map((each) =>
      [...each.rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim().replaceAll('\u00a0', ' ')))),
    text: document.body.innerText,
  }), folds))
  await page.close()
}
await browser.close()
console.log(JSON.stringify(seen))
