package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"
)

// A printer is one of the two output streams. It hides secrets, and remembers
// that something could not be written, so that no command ends well when its
// results went nowhere.
type printer struct {
	file *os.File

	mu   sync.Mutex
	hide *strings.Replacer // nil: nothing to hide
	tame bool              // GitHub Actions reads it, and nothing of it is a command
	err  error             // the first of a Write
}

// Write implements io.Writer. A secret that is cut in two by the end of p is
// not found: callers write whole lines.
func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := b
	if p.hide != nil {
		text = []byte(p.hide.Replace(string(b)))
	}
	if p.tame {
		text = tame(text)
	}
	if _, err := p.file.Write(text); err != nil {
		if p.err == nil {
			p.err = err
		}
		return 0, err
	}
	return len(b), nil
}

// failed returns the first error of a Write.
func (p *printer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// hidden stands where a secret would have been printed.
const hidden = "***"

// shortest is the length from which a secret is told apart from ordinary text.
const shortest = 4

// keepSecret hides values from now on, in each form in which text carries them.
func (p *printer) keepSecret(secrets []string) {
	var all []string
	for _, s := range secrets {
		if len(s) >= shortest {
			all = append(all, forms(s)...)
		}
	}
	// Of two that begin alike the longer one goes first, or its end would stay.
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, form := range all {
		pairs = append(pairs, form, hidden)
	}
	if pairs == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hide = strings.NewReplacer(pairs...)
}

// forms returns a text as it is and as URLs, JSON, Go and base64 write it.
func forms(s string) []string {
	inJSON, _ := json.Marshal(s) // a string always has a JSON form
	inGo := strconv.Quote(s)
	return []string{
		s, url.QueryEscape(s), url.PathEscape(s), string(inJSON[1 : len(inJSON)-1]), inGo[1 : len(inGo)-1],
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
}

// terminal tells whether people look at the stream.
func (p *printer) terminal() bool { return term.IsTerminal(int(p.file.Fd())) }

// size returns the columns and rows of the terminal, a usual one's if there is none.
func (p *printer) size() (width, height int) {
	width, height, err := term.GetSize(int(p.file.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// writeJSON prints a value for programs that people can read too.
func writeJSON(p *printer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return &fault{exit: state{internal: []string{err.Error()}}.exit()}
	}
	_, _ = p.Write(append(text, '\n')) // the printer keeps the error
	return nil
}
