package loadtest

import (
	"context"
	"time"
)

// Start runs a server on the core that h keeps for servers, for a benchmark
// that loads it in its own way.
func (h *Harness) Start(ctx context.Context, s Spec) (*Server, error) {
	return s.Start(ctx, h.cores.server)
}

// Usage is the processor time that the server has used so far and its resident
// set in bytes, those of processes it has started included.
func (s *Server) Usage() (cpu time.Duration, resident int64, err error) {
	seen := make(map[int]bool)
	for _, root := range s.PIDs {
		for _, pid := range family(root) {
			if seen[pid] {
				continue
			}
			seen[pid] = true
			used, err := cpuOf(pid)
			if err != nil {
				return 0, 0, err
			}
			cpu += used
		}
	}
	for pid := range seen {
		n, err := residentOf([]int{pid})
		if err != nil {
			return 0, 0, err
		}
		resident += n
	}
	return cpu, resident, nil
}
