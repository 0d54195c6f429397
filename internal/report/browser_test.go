package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser finds a Chromium, which the tests of report.html need.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no browser to open report.html with: apt-get install chromium")
	return ""
}

// tab is a page in the browser of this test, and what it complained about or
// asked for.
type tab struct {
	*testing.T
	ctx  context.Context
	file string

	mu       sync.Mutex
	faults   []string
	requests []string
}

// open shows a document in a new tab of the browser, from disk. A screen so
// wide is a phone's, 0 is a desk's.
func open(t *testing.T, browser context.Context, d *Document, wide int64) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, htmlOf(t, d), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &tab{T: t, file: "file://" + file}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.do(chromedp.Navigate("about:blank")) // the tab is there, and its domains are
	call(b, network.Enable, network.EnableParams{})
	b.screen(1280, 900, 1)
	if wide > 0 {
		b.screen(wide, 844, 2)
	}
	b.mu.Lock()
	b.requests = nil
	b.mu.Unlock()
	b.do(chromedp.Navigate(b.file), chromedp.WaitReady(`html[data-ready="true"]`))
	return b
}

// in is the tab as a test of its own uses it.
func (b *tab) in(t *testing.T) *tab { b.T = t; return b }

// hear keeps what the page complains about and asks for.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fault := func(format string, args ...any) { b.faults = append(b.faults, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		fault("console.%s", e.Type)
	case *runtime.EventExceptionThrown:
		fault("%s", e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		fault("%s: %s", e.Entry.Level, e.Entry.Text)
	case *cdppage.EventJavascriptDialogOpening:
		fault("dialog: %s", e.Message)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// call sends a command to the browser that package chromedp has no word for.
func call[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.Helper()
	v, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (b *tab) screen(width, height int64, density float64) {
	b.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: density, Mobile: density > 1})
}

// media shows the page on paper or on a screen, in the light or in the dark.
func (b *tab) media(media, scheme string) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// js evaluates an expression in the page.
func js[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) number(expression string) float64 { b.Helper(); return js[float64](b, expression) }
func (b *tab) text(expression string) string    { b.Helper(); return js[string](b, expression) }
func (b *tab) yes(expression string) bool       { b.Helper(); return js[bool](b, expression) }

// run evaluates an expression for its effect.
func (b *tab) run(expression string) { b.Helper(); b.yes("(" + expression + ", true)") }

// until waits for an expression to come true.
func (b *tab) until(expression string) {
	b.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		b.Fatalf("%s never came true: %v", expression, err)
	}
}

// chart is the chart of a title, as an expression.
func chart(title string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".chart")].find(c => c.querySelector(".title").textContent.startsWith(%q))`, title)
}

// spot returns a place on a chart, as shares of its plot.
func (b *tab) spot(title string, x, y float64) (float64, float64) {
	b.Helper()
	box := js[[]float64](b, `(() => { const s = `+chart(title)+`.querySelector(".plot[tabindex]"); s.scrollIntoView({block: "center", behavior: "instant"});
		const r = s.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	const left, right = 58.0, 10.0 // the margins of chart.js
	return box[0] + left + x*(box[2]-left-right), box[1] + y*box[3]
}

func (b *tab) mouse(kind input.DispatchMouseEventType, x, y float64, held bool) {
	b.Helper()
	p := input.DispatchMouseEventParams{Type: kind, X: x, Y: y}
	if held {
		p.Button, p.Buttons, p.ClickCount = input.MouseButtonLeft, 1, 1
	}
	call(b, input.DispatchMouseEvent, p)
}

func (b *tab) key(title string, keys ...string) {
	b.Helper()
	b.run(chart(title) + `.querySelector(".plot[tabindex]").focus()`)
	for _, key := range keys {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key})
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key})
	}
}

// fits fails the test if anything but a table that scrolls is wider than a phone.
func (b *tab) fits(name string) {
	b.Helper()
	if over := b.number(sideways); over > 0 {
		b.Errorf("%s: the page is %v px too wide for a phone", name, over)
	}
	if got := b.text(`[...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, svg, .hidden, thead") && e.getBoundingClientRect().right > 391).map(e => e.tagName + "." + e.className).join(" ")`); got != "" {
		b.Errorf("%s: beyond the edge: %s", name, got)
	}
}

// quiet fails the test if the page complained or asked for anything.
func (b *tab) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.Errorf("the browser complains: %s", f)
	}
	for _, url := range b.requests {
		if url != b.file && !strings.HasPrefix(url, "data:") {
			b.Errorf("the page asks for %s", url)
		}
	}
}

const sideways = `document.documentElement.scrollWidth - document.documentElement.clientWidth`

func TestReportInABrowser(t *testing.T) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser(t)), chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	whole, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	allocator, stop := chromedp.NewExecAllocator(whole, options...)
	defer stop()
	ctx, end := chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Do(ctx); err != nil { // the browser starts here, once
		t.Fatal(err)
	}

	fail, long := Build(watched(t)), Build(lasting(t, 3600, 20))

	t.Run("OpensQuietlyAtADeskAndOnAPhone", func(t *testing.T) {
		for _, name := range []string{"estimated", "interrupted", "nothing", "nasty", "long-names"} {
			b := open(t, ctx, Build(plays[name](t)), 0)
			if got := b.number(`document.querySelectorAll("h1").length`); got != 1 {
				t.Errorf("%s: %v headings", name, got)
			}
			if over := b.number(sideways); over > 0 {
				t.Errorf("%s: the page is %v px too wide for a desk", name, over)
			}
			if over := b.number(`Math.max(0, ...[...document.querySelectorAll(".scroll")].map(e => e.scrollWidth - e.clientWidth))`); over > 0 {
				t.Errorf("%s: a table is %v px too wide for a desk", name, over)
			}
			b.screen(390, 844, 2)
			b.until(`document.documentElement.clientWidth === 390`)
			b.fits(name)
			b.quiet()
		}
	})

	hour := open(t, ctx, long, 0)
	t.Run("ChartsHaveAPointForEachBin", func(t *testing.T) {
		b := hour.in(t)
		for title, lines := range map[string][]string{
			"Requests": {"requests", "failed"}, "Response time": {"p50", "p95", "p99"}, "Active users": {"all", "agent", "viewer"},
			"Generator: busy": {"processors"}, "Generator: late": {"lag p99"},
		} {
			for _, line := range lines {
				if got := b.number(fmt.Sprintf(`+(%s.querySelector('path[data-name=%q]').dataset.points)`, chart(title), line)); got != 600 {
					t.Errorf("%s of %s has %v points", line, title, got)
				}
			}
		}
		if got, want := b.number(`+document.querySelector("g[data-points]").dataset.points`), float64(len(long.charts().Heat.Cells)); got != want {
			t.Errorf("the heat map has %v cells of %v", got, want)
		}
		if got := b.number(chart("Response time") + `.querySelectorAll("path.limit").length`); got != 2 {
			t.Errorf("%v limits are drawn", got)
		}
		if got := b.number(chart("Percentiles") + `.querySelectorAll("path.line[data-name]").length`); got != 2 {
			t.Errorf("%v curves", got)
		}
		t.Logf("an hour with 20 endpoints is there after %.0f ms", b.number(`performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`))
		b.quiet()
	})

	t.Run("CrosshairIsInStep", func(t *testing.T) {
		b := hour.in(t)
		x, y := b.spot("Response time", 0.5, 0.5)
		b.mouse(input.DispatchMouseEventTypeMouseMoved, x, y, false)
		charts := b.number(`document.querySelectorAll(".chart").length`) - 1 // the curve has an axis of its own
		b.until(fmt.Sprintf(`document.querySelectorAll(".cursor").length === %v`, charts))
		if b.number(`new Set([...document.querySelectorAll(".cursor")].map(c => c.getAttribute("d").split(" ")[0])).size`) != 1 {
			t.Error("the crosshairs are not at one place")
		}
		if got := b.text(chart("Response time") + `.querySelector(".cursor-text").textContent`); got != "30:00 · steady" {
			t.Errorf("the crosshair says %q", got)
		}
		if b.text(chart("Requests")+`.querySelector(".key output").textContent`) == "" {
			t.Error("no value beside the legend of another chart")
		}
		b.key("Requests", "Escape", "ArrowRight", "ArrowRight")
		if got := b.text(chart("Requests") + `.querySelector(".cursor-text").textContent`); got != "0:06 · warmup" {
			t.Errorf("two steps to the right are at %q", got)
		}
		if got := b.text(`document.getElementById("said").textContent`); !strings.HasPrefix(got, "Requests, 0:06 · warmup: requests ") {
			t.Errorf("it is said: %q", got)
		}
		b.quiet()
	})

	t.Run("DragZoomsAllChartsAndEscapeResets", func(t *testing.T) {
		b := hour.in(t)
		from, y := b.spot("Requests", 0.25, 0.5)
		to, _ := b.spot("Requests", 0.5, 0.5)
		b.mouse(input.DispatchMouseEventTypeMousePressed, from, y, true)
		b.mouse(input.DispatchMouseEventTypeMouseMoved, (from+to)/2, y, true)
		b.mouse(input.DispatchMouseEventTypeMouseMoved, to, y, true)
		b.mouse(input.DispatchMouseEventTypeMouseReleased, to, y, true)
		points := func(title, line string) string {
			return fmt.Sprintf(`+(%s.querySelector('path[data-name=%q]').dataset.points)`, chart(title), line)
		}
		b.until(points("Requests", "requests") + " < 160")
		if got := b.number(points("Response time", "p95")); got < 145 || got > 160 {
			t.Errorf("a quarter of 600 points is %v", got)
		}
		if got := b.text(`document.getElementById("bins").textContent`); !strings.HasPrefix(got, "15:0") && !strings.HasPrefix(got, "14:5") {
			t.Errorf("it is not said what is shown: %q", got)
		}
		b.key("Requests", "+")
		b.until(points("Response time", "p95") + " < 80")
		b.key("Requests", "Escape")
		b.until(points("Response time", "p95") + " === 600")
		b.do(chromedp.Click(`button[aria-label="Zoom in"]`))
		b.until(points("Response time", "p95") + " < 310")
		b.do(chromedp.Click(`button[aria-label="Show the whole run"]`))
		b.until(points("Response time", "p95") + " === 600")
		b.quiet()
	})

	short := open(t, ctx, fail, 0)
	t.Run("LegendHidesALine", func(t *testing.T) {
		b := short.in(t)
		p95 := `[...` + chart("Response time") + `.querySelectorAll(".key")].find(k => k.textContent.startsWith("p95"))`
		line := chart("Response time") + `.querySelector('path[data-name="p95"]')`
		b.run(p95 + `.click()`)
		b.until(line + ` === null && ` + p95 + `.getAttribute("aria-pressed") === "false"`)
		b.run(p95 + `.click()`)
		b.until(line + ` !== null && ` + p95 + `.getAttribute("aria-pressed") === "true"`)
		b.quiet()
	})

	t.Run("ProbesHaveTheSameAxis", func(t *testing.T) {
		b := short.in(t)
		if got := b.number(chart("stored") + `.querySelectorAll('path[data-name="value"]').length`); got != 1 {
			t.Errorf("%v lines of the probe", got)
		}
		b.quiet()
	})

	t.Run("OneRowIsShownAlone", func(t *testing.T) {
		b := short.in(t)
		b.run(`document.getElementById("row").value = "2", document.getElementById("row").dispatchEvent(new Event("change"))`)
		if got := b.text(`document.getElementById("row").selectedOptions[0].textContent`); got != "POST trigger threat" {
			t.Errorf("shown is %q", got)
		}
		b.until(chart("Response time") + `.querySelector('path.limit[data-label="p95 < 100ms"]') === null`)
		b.quiet()
	})

	t.Run("TableSortsWithSetUpApart", func(t *testing.T) {
		b := short.in(t)
		names := func() string {
			return b.text(`[...document.querySelectorAll("#rows tbody th")].map(h => h.textContent.trim()).join(", ")`)
		}
		column := func(name string) string {
			return fmt.Sprintf(`[...document.querySelectorAll("#rows thead th")].find(h => h.textContent.trim() === %q)`, name)
		}
		b.run(column("Requests") + `.querySelector("button").click()`)
		if got := names(); got != "all requests, GET board, POST trigger threat, GET weekly report waited, POST login set-up" {
			t.Errorf("by requests: %s", got)
		}
		if got := b.text(column("Requests") + `.getAttribute("aria-sort")`); got != "descending" {
			t.Errorf("aria-sort is %q", got)
		}
		b.run(column("p50") + `.querySelector("button").click()`)
		b.run(column("p50") + `.querySelector("button").click()`)
		if got := names(); got != "all requests, GET board, POST trigger threat, GET weekly report waited, POST login set-up" {
			t.Errorf("by p50, ascending: %s", got)
		}
		b.run(column("p99") + `.querySelector("button").click()`)
		if got := names(); got != "all requests, GET weekly report waited, POST trigger threat, GET board, POST login set-up" {
			t.Errorf("by p99, the infinite first: %s", got)
		}
		b.quiet()
	})

	const ground = `getComputedStyle(document.body).backgroundColor`
	t.Run("DarkAndLight", func(t *testing.T) {
		b := short.in(t)
		media := func(scheme string) { b.media("screen", scheme) }
		media("light")
		light := b.text(ground)
		media("dark")
		dark := b.text(ground)
		if light == dark {
			t.Errorf("the ground is %s in the dark too", light)
		}
		b.do(chromedp.Click("#theme"))
		if got := b.text(ground); got != light {
			t.Errorf("switched to light, the ground is %s", got)
		}
		media("light")
		b.do(chromedp.Click("#theme"))
		if got := b.text(ground); got != dark {
			t.Errorf("switched to dark, the ground is %s", got)
		}
		b.quiet()
	})

	t.Run("PrintsLightWithChartsAndWithoutControls", func(t *testing.T) {
		b := short.in(t)
		b.media("print", "dark")
		if got := b.text(ground); got != "rgb(255, 255, 255)" {
			t.Errorf("the ground is %s", got)
		}
		if b.yes(`[...document.querySelectorAll("#tools, #theme, .top nav")].some(e => e.offsetParent !== null)`) {
			t.Error("controls are printed")
		}
		if !b.yes(`[...document.querySelectorAll(".chart .plot[tabindex]")].every(e => e.getBoundingClientRect().height > 50)`) {
			t.Error("a chart is not printed")
		}
		if !b.yes(`document.querySelector(".reasons li").getBoundingClientRect().height > 5`) {
			t.Error("the reasons are not printed")
		}
		pdf := call(b, cdppage.PrintToPDF, cdppage.PrintToPDFParams{PrintBackground: &[]bool{true}[0]}).Data
		if len(pdf) < 10_000 {
			t.Errorf("the PDF has %d bytes", len(pdf))
		}
		b.quiet()
	})

	t.Run("FitsAPhone", func(t *testing.T) {
		b := open(t, ctx, fail, 390)
		b.fits("fail")
		if got := b.text(`[...document.querySelectorAll(".chart .plot[tabindex]")].filter(e => e.getBoundingClientRect().width < 300).map(e => e.getAttribute("aria-label")).join()`); got != "" {
			t.Errorf("too narrow: %s", got)
		}
		b.quiet()
	})

	t.Run("HostileTextStaysText", func(t *testing.T) {
		d, texts, next := Build(failing(t)), injections(), 0
		editStrings(d, false, func(string) string { next++; return texts[next%len(texts)] })
		for i := range d.SLOs {
			d.SLOs[i].Op = "<"
		}
		b := open(t, ctx, stored(t, d), 0)
		if got := b.number(`document.querySelectorAll("script").length`); got != 3 {
			t.Errorf("%v scripts", got)
		}
		if got := b.text(`[...document.querySelectorAll("img, iframe, object, embed, base, form, input, svg script, #plots style, #plots a, main meta, main link")].map(e => e.tagName).join(" ")`); got != "" {
			t.Errorf("a text became %s", got)
		}
		b.quiet()
	})
}
