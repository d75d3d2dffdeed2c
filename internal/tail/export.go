package tail

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// exportName is the name that is proposed.
func (m Model) exportName() string { return "tail-" + m.now.Format("20060102-150405") + ".ndjson" }

// export writes what is listed to a new file, in the background and from a
// snapshot: entries never change, so the view goes on meanwhile.
func (m Model) export(name string) (Model, tea.Cmd) {
	if strings.TrimSpace(name) == "" {
		return m.say("nothing exported"), nil
	}
	var entries []*entry
	for _, pos := range m.rows() {
		if e := m.ring.at(pos); e != nil {
			entries = append(entries, e)
		}
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(m.o.Dir, path)
	}
	return m.say("exporting"), func() tea.Msg {
		count, err := exportTo(path, entries)
		if err != nil {
			return doneMsg{err: plainError(name, err)}
		}
		return doneMsg{text: fmt.Sprintf("exported %s records to %s", grouped(uint64(count)), name)}
	}
}

// plainError says what kept a file from being written.
func plainError(name string, err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists already; nothing is overwritten", name)
	case errors.As(err, &path):
		err = path.Err
	}
	return fmt.Errorf("cannot write %s: %w", name, err)
}

// exportTo writes a file that did not exist before; the form follows from its
// ending. It is readable by its owner only, as payloads may be confidential.
func exportTo(path string, entries []*entry) (count int, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(f)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ndjson", ".jsonl", ".json":
		count, err = writeRecords(w, entries)
	case ".csv":
		count, err = writeTable(w, entries)
	default:
		count, err = writeBodies(w, entries)
	}
	return count, errors.Join(err, w.Flush(), f.Close())
}

// writeRecords writes the message record, one per line, gaps included.
func writeRecords(w io.Writer, entries []*entry) (int, error) {
	for i, e := range entries {
		b, err := e.record().MarshalJSON()
		if err != nil {
			return i, err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return i, err
		}
	}
	return len(entries), nil
}

// writeBodies writes the payloads as they are, with a newline behind each, as
// subscribe does in a pipe.
func writeBodies(w io.Writer, entries []*entry) (count int, err error) {
	for _, e := range entries {
		if e.kind != kindMessage {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s\n", e.data); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// writeTable writes the record's members as columns, messages only.
func writeTable(w io.Writer, entries []*entry) (count int, err error) {
	t := csv.NewWriter(w)
	rows := [][]string{{"time", "topic", "id", "transport", "event", "encoding", "data", "size", "retained", "seq", "conn"}}
	for _, e := range entries {
		if e.kind == kindMessage {
			rows = append(rows, tableRow(e))
		}
	}
	return len(rows) - 1, t.WriteAll(rows)
}

func tableRow(e *entry) []string {
	data, encoding := ui.Encode(e.data)
	return []string{
		e.at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), string(e.topic), e.id, e.transport, e.event, encoding, data,
		strconv.Itoa(len(e.data)), strconv.FormatBool(e.retained), strconv.FormatUint(e.number, 10), strconv.Itoa(e.conn),
	}
}
