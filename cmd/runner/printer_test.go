package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/report"
)

func TestSecretsAreHiddenInEveryForm(t *testing.T) {
	const secret, other = `p&ss "w/rd"`, `p&ss "w/rd" and more`
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	p := &printer{file: file}
	p.keepSecret(secret, other, "", "abc")
	fmt.Fprintf(p, "%s %s %s %s %q %s abc\n", other, secret, url.QueryEscape(secret), url.PathEscape(secret), secret,
		base64.StdEncoding.EncodeToString([]byte(secret)))
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), "*** *** *** *** \"***\" *** abc\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestResultsThatGoNowhereAreNotAPass(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	if c := execute([]string{"version"}, full, stderr); c != notStored {
		t.Errorf("exit code %d, want %d", c, notStored)
	}
	if text, _ := os.ReadFile(stderr.Name()); !strings.Contains(string(text), "could not be printed") {
		t.Errorf("stderr: %s", text)
	}
}

// What the files say of a run is what the program ended with, whoever reads them.
func TestTheFilesOfARunThatWasNotPrintedAreNoPass(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	dir := t.TempDir()
	stderr, err := os.Create(filepath.Join(dir, "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	spec, out := ownSpec(t), filepath.Join(dir, "out")
	for _, args := range [][]string{{"run", spec, "--quiet", "--out", out}, {"regate", out, spec, "--out", out + "2"}} {
		if c := execute(args, full, stderr); c != notStored {
			t.Errorf("%v: exit code %d, want %d", args, c, notStored)
		}
		verdict, err := os.ReadFile(filepath.Join(args[len(args)-1], "verdict.json"))
		if err != nil {
			t.Fatal(err)
		}
		if v := gjson.ParseBytes(verdict); v.Get("exit_code").Int() != int64(notStored) || v.Get("verdict").String() == "pass" {
			t.Errorf("%v ended with %d, and its verdict.json says %s", args, notStored, verdict)
		}
	}
}

// ownSpec writes a spec of a second that its target keeps.
func ownSpec(t *testing.T) (file string) {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(target.Close)
	text := fmt.Sprintf("version: 1\nname: own\ntarget: {url: %q}\nendpoints: {home: GET /}\npersonas: {p: {think: 10ms, tasks: {home: 1}}}\n"+
		"stages: [steady: {users: 2, for: 300ms}]\nslos: [p95 < 9s]\nconfidence: off\n", target.URL)
	file = filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A run that may not be judged may not be judged later, whatever it promises.
func TestAnInvalidRunIsNeverRegatedToAPass(t *testing.T) {
	file, out := ownSpec(t), filepath.Join(t.TempDir(), "out")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if c := execute([]string{"run", file, "--quiet", "--out", out}, null, null); c != pass {
		t.Fatalf("the run ends with %d", c)
	}
	if c := execute([]string{"regate", out, file}, null, null); c != pass {
		t.Fatalf("its own promises are regated to %d", c)
	}
	doc, err := readResult(out)
	if err != nil {
		t.Fatal(err)
	}
	doc.Record.Invalid = []string{"the generator was late"}
	if err := report.Write(out, doc); err != nil {
		t.Fatal(err)
	}
	if c := execute([]string{"regate", out, file}, null, null); c != inconclusive {
		t.Errorf("an invalid run is regated to %d", c)
	}
}
