package main

import (
	"bytes"
	"io"
	"strings"

	"tollgate/internal/expr"
	"tollgate/internal/report"
)

// inActions tells whether GitHub Actions runs this process.
func (a *app) inActions() bool {
	v, _ := a.env("GITHUB_ACTIONS")
	return v == "true"
}

// The forms in which a run tells its results on stdout.
var resultForms = []string{"auto", "text", "json", "github"}

// chooseForm finds out which form the results have, before the run.
func (a *app) chooseForm(form string, json bool) (string, error) {
	switch {
	case form != "auto" && form != "text" && form != "json" && form != "github":
		hint := "the formats are auto, text, json and github"
		if near := expr.Nearest(form, resultForms); near != "" {
			hint = "did you mean " + near + "?"
		}
		return "", misuse(hint, "--format: there is no format %q", form)
	case json && form != "auto" && form != "json":
		return "", misuse("leave one of them out", "--json and --format %s are two formats", form)
	case json:
		return "json", nil
	case form == "auto" && a.inActions():
		return "github", nil
	case form == "auto":
		return "text", nil
	}
	return form, nil
}

// tables prints the end-of-run screen. In GitHub Actions no line of it is a
// command, whatever a target has put into it.
func (a *app) tables(doc *report.Document, o report.TextOptions) {
	var to io.Writer = a.out
	if a.inActions() {
		to = tamed{a.out}
	}
	_ = doc.Text(to, o) // the printer keeps the error
}

// tamed breaks what GitHub's runner takes for a command: a line whose first
// characters are ::, and ##[ anywhere. Writers write whole lines.
type tamed struct{ to io.Writer }

func (t tamed) Write(b []byte) (int, error) {
	if _, err := t.to.Write(tame(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func tame(b []byte) []byte {
	if !bytes.Contains(b, []byte("::")) && !bytes.Contains(b, []byte("##[")) {
		return b
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		line = strings.ReplaceAll(line, "##[", "## [")
		if rest := strings.TrimLeft(line, " \t\r\v\f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"); strings.HasPrefix(rest, "::") {
			line = line[:len(line)-len(rest)] + ": :" + rest[2:]
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
