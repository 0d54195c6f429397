package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsAreHiddenInEveryForm(t *testing.T) {
	const secret, other = `p&ss "w/rd"`, `p&ss "w/rd" and more`
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	p := &printer{file: file}
	p.keepSecret([]string{secret, other, "", "abc"})
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
