package main

import (
	"encoding/json"
	"os"
	"slices"
	"sync"

	"golang.org/x/term"

	"tollgate/internal/report"
)

// A printer is one of the two output streams. It hides secrets, and remembers
// that something could not be written, so that no command ends well when its
// results went nowhere.
type printer struct {
	file *os.File

	mu      sync.Mutex
	secrets []string
	hide    *report.Mask // of them; nil until it is needed
	tame    bool         // GitHub Actions reads it, and nothing of it is a command
	err     error        // the first of a Write
}

// Write implements io.Writer. A secret that is cut in two by the end of p is
// not found: callers write whole lines.
func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := b
	if len(p.secrets) > 0 {
		if p.hide == nil {
			p.hide = report.NewMask(p.secrets)
		}
		text = []byte(p.hide.Hide(string(b)))
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

// keepSecret hides values, too, from now on, in each form in which text carries them.
func (p *printer) keepSecret(secrets ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range secrets {
		if !slices.Contains(p.secrets, s) {
			p.secrets = append(p.secrets, s)
			p.hide = nil
		}
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
