import { SerialPortMock } from 'serialport';

import type { OpenPort } from '../../src/transport/serial.ts';

type MockPort = NonNullable<SerialPortMock['port']>;

/** Ports of `SerialPortMock`, `/dev/a` and `/dev/b`: what is written to one arrives at the other. */
export function mockedPorts(): OpenPort {
  SerialPortMock.binding.reset();
  const ends = new Map<string, MockPort>();
  for (const path of ['/dev/a', '/dev/b']) SerialPortMock.binding.createPort(path);
  return ({ path, baudRate, rtscts }) =>
    new Promise((resolve, reject) => {
      const port = new SerialPortMock({ path, baudRate, rtscts, autoOpen: false });
      port.open((error) => {
        if (error || !port.port) {
          reject(error ?? new Error('no port'));
          return;
        }
        const end = port.port;
        const write = end.write.bind(end);
        end.write = async (bytes) => {
          await write(bytes);
          const other = ends.get(path === '/dev/a' ? '/dev/b' : '/dev/a');
          if (other?.isOpen) other.emitData(bytes);
        };
        ends.set(path, end);
        resolve(port);
      });
    });
}
