import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { apdbContract } from './contract.ts';

const apdb = openMemoryApdb();
apdbContract(() => apdb, 100);
