package relay

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// Ready is where a relay listens, as its ready line says it.
type Ready struct {
	Type string `json:"type"` // always "ready"
	// Hub is the base URL of the data plane, Control that of the control plane;
	// the latter is empty when it is off.
	Hub     string `json:"hub"`
	Control string `json:"control,omitempty"`
	// FastlyAPI is the base URL of the imitated platform API; empty without one.
	FastlyAPI string `json:"fastly_api,omitempty"`
	PID       int    `json:"pid"`
}

func readyOf(data, control net.Listener, secure bool) Ready {
	r := Ready{Type: "ready", Hub: baseURL(data, secure), PID: os.Getpid()}
	if control != nil {
		r.Control = baseURL(control, false)
	}
	return r
}

// baseURL is where a client on this machine reaches l.
func baseURL(l net.Listener, secure bool) string {
	u := url.URL{Scheme: "http", Host: l.Addr().String()}
	if secure {
		u.Scheme = "https"
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			u.Host = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return u.String()
}

// WriteFile writes content to path so that a reader sees all of it or nothing:
// whoever waits for the file must not find half a line.
func WriteFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	_, err = tmp.Write(content)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}
