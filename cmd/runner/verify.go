package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/internal/attest"
	"tollgate/internal/compare"
	"tollgate/internal/report"
)

func (a *app) verifyCommand() *cobra.Command {
	var pub string
	var subjects []string
	cmd := &cobra.Command{
		Use:   "verify RESULT",
		Short: "Find out whether a result is genuine, and a pass",
		Long: `verify answers whether a result is genuine and a pass. It checks the signature of
attestation.json and the digest of every file of the folder, judges the stored
counters again, renders each report again, and names every difference. It needs
no network and no spec.

A result that was edited anywhere is refused: exit code 6. A genuine one ends
with the exit code of its run, so that 0 is a genuine pass. Without --pub nobody
vouches for the result: then verify says only whether it is consistent.`,
		Example: `  runner verify results/soc --pub release.key.pub
  runner verify results/soc --pub release.key.pub --subject dist/app.tar.gz
  runner verify results/soc`,
		Args: takes(1, 1, "a stored result"),
		RunE: func(_ *cobra.Command, args []string) error { return a.verify(args[0], pub, subjects) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&pub, "pub", "", "`file` with the key that must have signed it")
	cmd.Flags().StringArrayVar(&subjects, "subject", nil, "`what` it must be about: a file, or NAME=sha256:HEX (repeatable)")
	return cmd
}

// A folder is a stored result with all files that belong to it.
type folder struct {
	dir   string
	files map[string][]byte // but for the attestation
	links []string          // what is neither a file nor a folder: nobody can sign it
	doc   *report.Document
}

// readFolder reads a result and all files beside it, given as the folder or as
// its result.json.
func readFolder(name string) (*folder, error) {
	r, err := listFolder(name)
	if err != nil {
		return nil, err
	}
	if r.doc, err = report.Decode(r.files["result.json"]); err != nil {
		return nil, misuse("a result is what runner run leaves in its folder as result.json", "%s: %v", filepath.Join(r.dir, "result.json"), err)
	}
	return r, nil
}

// listFolder reads the files of a result, whatever is in them.
func listFolder(name string) (*folder, error) {
	r := &folder{dir: name, files: map[string][]byte{}}
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		r.dir = filepath.Dir(name)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, unreadable(r.dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			r.links = append(r.links, e.Name()+" is a link or a device, and no file of the result")
		}
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || e.Name() == attest.FileName || e.Name() == report.JournalName {
			continue
		}
		path := filepath.Join(r.dir, e.Name())
		f, err := os.Open(path)
		if err != nil {
			return nil, unreadable(path, err)
		}
		data, err := io.ReadAll(io.LimitReader(f, tooLong))
		f.Close()
		if err != nil {
			return nil, unreadable(path, err)
		}
		r.files[e.Name()] = data
	}
	if r.files["result.json"] == nil {
		return nil, misuse("a result is what runner run leaves in its folder as result.json", "%s holds no result.json", r.dir)
	}
	return r, nil
}

// title names what was run.
func (r *folder) title() string {
	if r.doc.Spec.Profile == "" {
		return r.doc.Name
	}
	return r.doc.Name + " · " + r.doc.Spec.Profile
}

// contradictions says where a result contradicts itself, and what could not be
// looked at.
func (r *folder) contradictions() (against, unchecked []string) {
	against, untold := compare.Contradictions(r.doc)
	against = append(against, r.links...)
	for _, why := range untold {
		unchecked = append(unchecked, "not judged again: "+why)
	}
	if name := code(r.doc.ExitCode).String(); string(r.doc.ExitName) != name {
		against = append(against, fmt.Sprintf("the exit code %d is called %s, and not %s", r.doc.ExitCode, name, r.doc.ExitName))
	}
	by := r.doc.Generator.Version
	if r.doc.Regated != nil {
		by = r.doc.Regated.Generator
	}
	if by != buildVersion() {
		return against, append(unchecked, fmt.Sprintf("not rendered again: version %s wrote it, and this is %s", by, buildVersion()))
	}
	rendered, err := report.Render(r.doc)
	if err != nil {
		return append(against, err.Error()), unchecked
	}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		switch data, ok := r.files[name]; {
		case !ok:
			against = append(against, name+" is missing")
		case !bytes.Equal(data, rendered[name]):
			against = append(against, fmt.Sprintf("%s says something else than result.json: %s", name, firstDifference(data, rendered[name])))
		}
	}
	return against, unchecked
}

// firstDifference tells where two files part, for people.
func firstDifference(a, b []byte) string {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	line := 1 + bytes.Count(b[:at], []byte("\n"))
	return fmt.Sprintf("they part at byte %d, in line %d", at+1, line)
}

// verify answers whether a result is genuine, and ends as its run did.
func (a *app) verify(name, pub string, subjects []string) error {
	tested, err := testedSubjects(subjects)
	if err != nil {
		return err
	}
	r, err := listFolder(name)
	if err != nil {
		return err
	}
	statement, signed, against, err := r.signedBy(pub)
	if err != nil {
		return err
	}
	if statement != nil {
		against = append(against, statement.Differences(r.files)...)
	}
	var unchecked []string
	if r.doc, err = report.Decode(r.files["result.json"]); err != nil {
		against = append(against, fmt.Sprintf("result.json: %v", err))
	} else {
		own, not := r.contradictions()
		against, unchecked = append(against, own...), not
		if statement != nil && len(against) == 0 {
			against = statement.Disagreements(r.doc, r.files)
		}
	}
	against = append(against, notAbout(statement, tested)...)
	for _, why := range unchecked {
		fmt.Fprintf(a.err, "runner: %s\n", why)
	}
	if len(against) > 0 {
		fmt.Fprintf(a.out, "REFUSED  %s is not genuine\n", r.dir)
		for _, why := range against {
			fmt.Fprintf(a.out, "  - %s\n", why)
		}
		if err := a.undelivered(); err != nil {
			return err
		}
		return &fault{exit: state{refused: against}.exit(), told: true}
	}
	word, _ := r.doc.Headline()
	fmt.Fprintf(a.out, "%s  %s\n  %s\n", word, r.title(), signed)
	if statement != nil {
		for _, of := range statement.Subjects() {
			fmt.Fprintf(a.out, "  about %s, sha256:%s\n", of.Name, of.SHA256)
		}
	}
	if err := a.undelivered(); err != nil {
		return err
	}
	if r.doc.ExitCode == int(pass) {
		return nil
	}
	return &fault{exit: exit{code: code(r.doc.ExitCode), reasons: r.doc.Reasons}}
}

// signedBy reads the attestation and says who vouches for it, or why that is
// not so.
func (r *folder) signedBy(pub string) (s *attest.Statement, signed string, against []string, err error) {
	path := filepath.Join(r.dir, attest.FileName)
	envelope, missing := os.ReadFile(path)
	if pub == "" {
		if missing != nil {
			return nil, "consistent; nobody vouches for it: it was not signed", nil, nil
		}
		read, err := attest.Read(envelope)
		if err != nil {
			return nil, "", []string{fmt.Sprintf("%s: %v", attest.FileName, err)}, nil
		}
		return &read, "consistent; nobody vouches for it: --pub FILE says who must have signed it", nil, nil
	}
	text, err := os.ReadFile(pub)
	if err != nil {
		return nil, "", nil, unreadable(pub, err)
	}
	key, err := attest.DecodePublicKey(text)
	if err != nil {
		return nil, "", nil, misuse("", "%s: %v", pub, err)
	}
	if missing != nil {
		return nil, "", []string{fmt.Sprintf("there is no %s: it was not signed", attest.FileName)}, nil
	}
	opened, err := attest.Open(envelope, key)
	if err != nil {
		return nil, "", []string{fmt.Sprintf("%s: %v", attest.FileName, err)}, nil
	}
	return &opened, fmt.Sprintf("genuine: signed with the key of %s, and every file, count and verdict agrees", pub), nil, nil
}

// notAbout says which of the things that the result must be about it is not.
func notAbout(s *attest.Statement, tested []attest.Subject) (out []string) {
	for _, want := range tested {
		if s == nil || !slices.ContainsFunc(s.Subjects(), func(is attest.Subject) bool { return is.SHA256 == want.SHA256 }) {
			out = append(out, fmt.Sprintf("it is not about %s, sha256:%s", want.Name, want.SHA256))
		}
	}
	return out
}
