package origin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// maxRoutesFile bounds a routes file in bytes.
	maxRoutesFile = 4 << 20
	// quiet is how long a file must have read the same: one that is being written
	// may be empty, or end within a line.
	quiet = 50 * time.Millisecond
)

// Watch reads the routes file again and again, once in a period of every, until
// ctx ends. When it differs from text, which is what it read like when its routes
// were last taken over, changed gets the new routes; if a line of it is wrong, or
// it cannot be read, failed gets the reason, once, and the old routes stay.
func Watch(ctx context.Context, path string, text []byte, every time.Duration, changed func([]*Route), failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := "" // the last fault, so that it is told once
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := readRoutesFile(path)
		if err == nil && !bytes.Equal(now, text) && !staysSame(ctx, path, now) {
			continue
		}
		if err == nil && bytes.Equal(now, text) {
			told = ""
			continue
		}
		var routes []*Route
		if err == nil {
			routes, err = parseAll(path, now)
		}
		if err != nil {
			if err.Error() != told {
				told = err.Error()
				failed(err)
			}
			continue
		}
		text, told = now, ""
		changed(routes)
	}
}

// staysSame reports whether the file still reads like text a moment later.
func staysSame(ctx context.Context, path string, text []byte) bool {
	if wait(ctx, quiet) != nil {
		return false
	}
	again, err := readRoutesFile(path)
	return err == nil && bytes.Equal(again, text)
}

func readRoutesFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRoutesFile {
		return nil, fmt.Errorf("read routes %s: file is larger than %d bytes", path, maxRoutesFile)
	}
	return os.ReadFile(path)
}

// parseAll refuses a file with any fault.
func parseAll(path string, text []byte) ([]*Route, error) {
	routes, faults := ParseRoutes(text)
	if len(faults) > 0 {
		return nil, fmt.Errorf("routes %s, %w", path, faults[0])
	}
	return routes, nil
}
