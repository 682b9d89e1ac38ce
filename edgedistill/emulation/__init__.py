"""emulation: run the int8 model with the runtime of another instruction set, without the device."""
