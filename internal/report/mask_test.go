package report

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// escapedForms are the forms of secret, found without the code under test.
func escapedForms() []string {
	quoted, _ := json.Marshal(secret)
	plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(string(quoted))
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		strings.ToLower(url.QueryEscape(secret)),
		strings.Trim(string(quoted), `"`), strings.Trim(plain, `"`), strings.Trim(strconv.Quote(secret), `"`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

func TestSecretIsInNoFormInAnyRendering(t *testing.T) {
	d := Build(nasty(t))
	result, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"result.json": string(result), "verdict.json": verdictJSON(t, d), "summary.md": string(d.Markdown()), "report.html": string(htmlOf(t, d)),
		"screen": text(t, d, TextOptions{Width: 2000}),
	}
	for place, got := range places {
		for _, form := range append(escapedForms(), "s3cr3t") {
			if strings.Contains(got, form) {
				t.Errorf("%s holds %q", place, form)
			}
		}
	}
	if n := strings.Count(places["result.json"], masked); n < 6 {
		t.Errorf("result.json masks %d times", n)
	}
}

func TestSecretIsMaskedInEachForm(t *testing.T) {
	m := NewMask([]string{secret, "tok"})
	for _, form := range escapedForms() {
		if got := m.text("a " + form + " b"); !strings.HasPrefix(got, "a ***") || len(got) > len("a *** b")+4 {
			t.Errorf("%q became %q", form, got)
		}
	}
	if got := m.text("a token"); got != "a token" {
		t.Errorf("three characters are no secret, and the text became %q", got)
	}
	if got := NewMask(nil).text("as it is"); got != "as it is" {
		t.Errorf("no secrets, and the text became %q", got)
	}
}

func TestSecretIsFoundInsideBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-zA-Z0-9/+ ]{8,24}`).Draw(t, "secret")
		before := rapid.StringMatching(`[a-z]{0,7}:`).Draw(t, "before")
		after := rapid.StringMatching(`[a-z]{0,4}`).Draw(t, "after")
		text := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
		got := NewMask([]string{secret}).text("Basic " + text)
		if !strings.Contains(got, masked) {
			t.Fatalf("%s stays in %s", secret, got)
		}
		// What is left on either side of the mask is too short to tell it.
		for _, part := range strings.Split(strings.TrimPrefix(got, "Basic "), masked) {
			raw, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(part, "="))
			if strings.Contains(string(raw), secret[:4]) || strings.Contains(string(raw), secret[len(secret)-4:]) {
				t.Fatalf("%q of %s is left in %s", raw, secret, got)
			}
		}
	})
}

func TestSecretThatWasCutOffIsMasked(t *testing.T) {
	m := NewMask([]string{"correct horse battery"})
	long := strings.Repeat("x", longMessage)
	if got := m.text(long + "correct hor"); got != long+masked {
		t.Errorf("ends in %q", got[longMessage:])
	}
	if got := m.text("that is correct"); got != "that is correct" {
		t.Errorf("a word that a secret begins with became %q", got)
	}
}

func TestSecretThatWasCutShortIsMasked(t *testing.T) {
	m := NewMask([]string{"correct horse battery"})
	for text, want := range map[string]string{
		`json is "id correct hor…", not "b"`:                      `json is "id ***…", not "b"`,
		`"correct…" and "correct horse battery…" and "it is co…"`: `"***…" and "***…" and "it is co…"`,
		"…correct…":                        "…***…",
		"Basic dXNlcjpjb3JyZWN0IGhvcnNlI…": "Basic dXNlcjp***…",
		"nothing…":                         "nothing…",
	} {
		if got := m.Hide(text); got != want {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestWordsOfTheFormatAreNoSecrets(t *testing.T) {
	r := failing(t)
	r.Spec.Secrets = []string{"timeout", "breach", "seconds", "2026"}
	d := Build(r)
	if d.ExitName != "breach" || d.Rows[4-1].Classes["timeout"] == 0 || d.SLOs[0].Unit != "seconds" || !strings.HasPrefix(string(d.Started), "2026") {
		t.Errorf("%s %v %s %s", d.ExitName, d.Rows[3].Classes, d.SLOs[0].Unit, d.Started)
	}
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(data); err != nil {
		t.Error(err)
	}
}

func TestBuildLeavesTheRunAsItIs(t *testing.T) {
	r := nasty(t)
	Build(r)
	if r.Overrides[0] != "--set values.password="+secret || len(r.Spec.Secrets) != 1 {
		t.Error("masking reached the run itself")
	}
	found := false
	for _, f := range r.Snapshot.Failures {
		found = found || strings.Contains(f.Message, secret)
	}
	if !found {
		t.Error("masking reached the snapshot")
	}
}
