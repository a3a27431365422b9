"""What every stage may use: settings, errors, progress, device, memory, files, weights."""
